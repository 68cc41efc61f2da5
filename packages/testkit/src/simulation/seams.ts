import type { BlockDevice, BlockDevicePair, Host, Ledger, PathSelector, Target } from '@blockbraid/core'

/** What stands around the public seams of core in a schedule: a way to break it there, and to see that that is found. */
export interface Seams {
  /** A target of a process. */
  target?(target: Target): Target
  /** The ledger of a process. */
  ledger?(ledger: Ledger, host: Host): Ledger
  /** What clients submit to. */
  device?(device: BlockDevice, pair: BlockDevicePair, host: Host): BlockDevice
  /** The policy of a pair. */
  selector?(create: () => PathSelector): () => PathSelector
}
