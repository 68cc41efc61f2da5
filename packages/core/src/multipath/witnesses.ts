import type { Clock } from '../clock.ts'
import { orAborted } from '../closing.ts'
import { BlockError } from '../errors.ts'
import type { Path } from '../target.ts'
import { readsOne } from './health/reads-one.ts'
import type { PathSlot } from './path-slot.ts'
import { NO_ANSWER } from './troubles.ts'

/**
 * Asks paths that were there all the while for a sign of life of the storage: by a read, before whose answer they tell of
 * a lost cache, or where none takes I/O by a ping, which no connection to storage outlives that has lost its power.
 * Resolves to whether one has answered, as soon as one has; one that has no answer in its time has failed.
 */
export async function oneAnswers(slots: readonly PathSlot[], clock: Clock, signal: AbortSignal): Promise<boolean> {
  const serving = slots.filter(({ takesIo }) => takesIo)
  const others = slots.filter(({ entry }) => entry.path?.ping !== undefined)
  const [asked, ask] = serving.length > 0 ? [serving, readsOne] : [others, pings]
  try {
    await Promise.any(asked.map((slot) => answers(slot, ask, clock, signal)))
    return true
  } catch {
    return false
  }
}

async function answers(slot: PathSlot, ask: typeof readsOne, clock: Clock, signal: AbortSignal): Promise<void> {
  const path = slot.entry.path as Path
  const { limit } = slot.vitals
  try {
    await ask(path, clock, limit, signal)
  } catch (error) {
    const hung = BlockError.is(error) && error.code === 'TIMED_OUT'
    const what = ask === pings ? 'a ping' : 'a read'
    if (hung && slot.entry.path === path) slot.failHung(`${what} had no answer for ${limit} ms`, NO_ANSWER)
    throw error
  }
}

/** As {@link readsOne}, by a ping. */
async function pings(path: Path, clock: Clock, timeout: number, signal: AbortSignal): Promise<void> {
  const question = new AbortController()
  const abort = (): void => question.abort(signal.reason)
  if (signal.aborted) abort()
  signal.addEventListener('abort', abort)
  const late = new BlockError('TIMED_OUT', `a ping had no answer for ${timeout} ms`)
  const timer = clock.after(timeout, () => question.abort(late))
  try {
    await orAborted(Promise.resolve(path.ping?.({ signal: question.signal })), question.signal)
  } finally {
    timer.cancel()
    signal.removeEventListener('abort', abort)
    question.abort()
  }
}
