import type { Clock } from '../clock.ts'
import { orAborted } from '../closing.ts'
import { BlockError } from '../errors.ts'
import type { Path } from '../target.ts'
import { readsOne } from './health/reads-one.ts'
import type { PathRecord } from './path-record.ts'

/** What a path that has just been opened must pass before it takes I/O. */
export interface Admission {
  readonly clock: Clock
  readonly record: PathRecord
  /** Ends the wait. */
  readonly signal: AbortSignal
  /** Milliseconds in which it must answer a read; undefined where it need not prove that it does. */
  readonly proof: number | undefined
  /** As {@link SlotOwner.borneOut}. */
  borneOut(signal: AbortSignal): Promise<void>
  /** Whether it is still wanted. */
  wanted(): boolean
  /** Why it cannot be used; undefined where it can. */
  fault(path: Path): string | undefined
  /** It is not used, though it is on record. */
  forsake(path: Path): void
  /** It is not used, and was not recorded. */
  refuse(path: Path): void
}

/** Lets an open path in; rejects where it is not used, which is then forsaken or refused. */
export async function admit(path: Path, admission: Admission): Promise<void> {
  const fault = admission.wanted() ? admission.fault(path) : 'taken out'
  if (fault !== undefined) {
    admission.refuse(path)
    throw new BlockError('MISMATCH', `path ${path.id} is not used: ${fault}`)
  }
  const { clock, record, signal, proof } = admission
  try {
    // Before the first change goes through it: should this process end, another one must know of it.
    await orAborted(record.open(path), signal)
    await admission.borneOut(signal)
    if (!admission.wanted()) throw new BlockError('CLOSED', 'taken out')
    if (proof !== undefined) await readsOne(path, clock, proof, signal)
  } catch (error) {
    admission.forsake(path)
    throw error
  }
}
