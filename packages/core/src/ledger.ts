import type { SignalOptions } from './signal.ts'
import type { VolumeId } from './volume-id.ts'

/** A run of bytes: `[offset, length]`. */
export type ByteRun = readonly [offset: number, length: number]

/** A path through which a process may have changes in flight, so that somebody owes the proof that they have ended. */
export interface Debt {
  /** Identity of the volume. */
  readonly volume: VolumeId
  /** The path's {@link Path.fenceToken}. */
  readonly token: string
  /** Id of the path, for people. */
  readonly path: string
  /** Where those changes may be; left out: anywhere. */
  readonly ranges?: readonly ByteRun[]
}

/** A {@link Debt} of a process that has ended. */
export interface LeftDebt extends Debt {
  /** Whose it was, for people, such as `process 123`. */
  readonly owner: string
  /** It is proven, or somebody answers for it: forgets it. */
  settle(): Promise<void>
}

/** Keeps debts beyond the life of a process. Core writes it before the first change goes through a path. */
export interface Ledger {
  /** Resolves once the debt will outlive this process; a later one of the same token takes its place. */
  put(debt: Debt, options?: SignalOptions): Promise<void>
  /** This process has the proof for that token. */
  drop(token: string): Promise<void>
  /** What processes that have ended left for a volume. */
  left(volume: VolumeId, options?: SignalOptions): Promise<readonly LeftDebt[]>
}
