import type { Host } from '@blockbraid/core'
import type { InputPool, OutboxPool, Wakeful } from '@blockbraid/wire'
import type { ServerMemory } from './memory.ts'
import type { RequestPool } from './request.ts'

/** µs. A client that keeps one request in flight and is quick comes back well within this. */
export const QUICK_CLIENT = 120

/** What the connections of one server share. */
export interface SessionContext {
  readonly host: Host
  readonly requests: RequestPool
  /** What wires are read into. */
  readonly inputs: InputPool
  /** What replies are sent from. */
  readonly outputs: OutboxPool
  readonly wakeful: Wakeful
  readonly maxRequests: number
  readonly maxInflightBytes: number
  /** Left out where clients are trusted with memory: the kernel. */
  readonly memory?: ServerMemory
}
