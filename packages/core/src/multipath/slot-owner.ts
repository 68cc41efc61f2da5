import type { Host } from '../clock.ts'
import type { DeviceLimits } from '../device.ts'
import type { ByteRun, Ledger } from '../ledger.ts'
import type { HeldStatus, PathHealth } from '../pair.ts'
import type { FenceProof, Path, PathTrouble } from '../target.ts'
import type { ConnectTurns } from './connects/connect-turns.ts'
import type { ResolvedOptions } from './options.ts'

/** What a slot tells its device. */
export interface SlotOwner<Slot> {
  readonly host: Host
  readonly options: ResolvedOptions
  /** The order among paths that connect. */
  readonly connects: ConnectTurns
  /** Where it is kept, beyond the life of this process, what may be in flight. */
  readonly ledger: Ledger | undefined
  /** Checks the limits of a path that has just connected, or has new ones; a text says why it cannot be used. */
  accepts(slot: Slot, path: Path, limits: DeviceLimits): string | undefined
  /** The state, the access or the limits of a slot changed. */
  slotChanged(slot: Slot): void
  /** Nothing sent through the slot's failed path can change data any more; `proof` where the path tells how it is known. */
  slotFenced(slot: Slot, proof: FenceProof | undefined): void
  /** A path was opened; `wasReset`: the storage said meanwhile that it had been powered on or reset. */
  slotConnected(slot: Slot, wasReset: boolean): void
  /**
   * Settles when another path has borne out or denied that the storage was reset, as one has told when it was opened, or
   * when none is there any more that could: until then a flush through a new path may hide what is lost.
   */
  borneOut(signal: AbortSignal): Promise<void>
  /** The storage said that what was in its volatile cache is gone. */
  slotLostCache(slot: Slot, reason: string): void
  /** Commands of the slot's path fail. */
  slotTroubled(slot: Slot, trouble: PathTrouble): void
  /** The slot is not well, is so for another reason, or is well again; `reason` is for people. */
  slotAiled(slot: Slot, state: PathHealth | 'well', reason: string): void
  /** Why a slot that is up takes no I/O, as far as the device knows; an empty text where it does. */
  describe(slot: Slot): string
  /** The same where nothing is wrong with that. */
  inReserve(slot: Slot): string
  /** Whether something was acknowledged that no flush has covered. */
  readonly unflushed: boolean
  /** Whether I/O can go anywhere now. */
  readonly hasUsable: boolean
  /** What the slot's failed path, of which nothing is in flight any more, leaves without a proof. */
  unprovenOf(slot: Slot): readonly ByteRun[]
  /** What waits for the fence of the slot's failed path. */
  heldBy(slot: Slot): HeldStatus | undefined
}
