import type { Portal } from './portal.ts'

/** Where an association goes, and whose it is: one host, one subsystem, one portal. */
export interface Place {
  /** NQN of the host. */
  readonly hostNqn: string
  /** Host identifier, 16 bytes as a UUID in text; it belongs to the NQN. */
  readonly hostId: string
  /** NQN of the subsystem. */
  readonly subNqn: string
  readonly portal: Portal
}
