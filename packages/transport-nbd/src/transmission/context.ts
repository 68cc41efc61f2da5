import type { Host } from '@blockbraid/core'
import type { InputPool, OutboxPool } from '@blockbraid/wire'
import type { LatencyPoll } from './latency-poll.ts'
import type { ServerMemory } from './memory.ts'
import type { RequestPool } from './request.ts'

/** What the connections of one server share. */
export interface SessionContext {
  readonly host: Host
  readonly requests: RequestPool
  /** What wires are read into. */
  readonly inputs: InputPool
  /** What replies are sent from. */
  readonly outputs: OutboxPool
  readonly poll: LatencyPoll
  readonly maxRequests: number
  readonly maxInflightBytes: number
  /** Left out where clients are trusted with memory: the kernel. */
  readonly memory?: ServerMemory
}
