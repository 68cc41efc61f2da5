import type { BlockDevice, BlockDevicePair, Host, Ledger, PathSelector, Target } from '../../src/index.ts'

/** What may happen in a schedule beside paths that fail, hang, are slow and change their access. */
export const kinds = {
  reconnect: 'clients that disconnect, come back and send again what they had in flight',
  halfOpen: 'old connections that stay half open while their client is back already',
  rewrite: 'writes to a block where one has ended with EIO',
  kill: 'processes that are killed, with commands in flight',
  takeOver: 'processes that hand over, with fences that stick',
  cacheLoss: 'caches that are lost, also with the power',
  flags: 'sizes and flags that change',
  twin: 'other disks that have the name of the volume, and come and go',
  hedging: 'reads that get a second try on another path',
  bounds: 'waits that are bounded in number, and requests that would rather fail than wait',
  meddling: 'policies that write into what they get',
} as const

export type Kind = keyof typeof kinds

/** Where a mutant breaks core, by what stands around its public seams. */
export interface Seams {
  target?(target: Target): Target
  ledger?(ledger: Ledger, host: Host): Ledger
  /** What clients submit to. */
  device?(device: BlockDevice, pair: BlockDevicePair, host: Host): BlockDevice
  selector?(create: () => PathSelector): () => PathSelector
}
