import type { Timer } from '@blockbraid/core'
import type { Namespaces } from '../namespace/namespaces.ts'
import type { NvmeReferral } from '../options/options.ts'
import type { ArraySettings } from '../options/settings.ts'
import type { Request } from '../request/request.ts'
import type { Records } from './records.ts'

/** An address as the discovery log tells of it. */
export interface DiscoveryPort {
  readonly number: number
  /** `host:port`; empty: it is not told. */
  readonly advertised: string
  readonly serves: 'both' | 'subsystem' | 'discovery'
}

/** The connection of a queue, as its controller sees it. */
export interface QueueLink {
  /** 0: the admin queue. */
  readonly id: number
  readonly headerDigest: boolean
  readonly dataDigest: boolean
  /** Commands that are not answered. */
  readonly inflight: number
  /** A request that is not answered. */
  find(cid: number): Request | null
  /** Ends a request as aborted: at once where it is not executed yet, and its data is there. Whether it could be ended. */
  abort(request: Request): boolean
  /** Requests that are executed or wait. */
  all(): Request[]
  /** Forgets requests whose answer waits for something to happen. */
  forgetWaiting(): void
  /** Settles when a request has ended. */
  ended(request: Request): Promise<void>
  /** Ends it at once. */
  destroy(): void
  /** Ends it by RST. */
  reset(): void
  /** Ends it when all that was sent is out. */
  finish(): void
  /** Nothing comes in and nothing goes out. */
  setDark(dark: boolean): void
}

/** A controller, as others of its subsystem see it. */
export interface SiblingController {
  readonly id: number
  readonly hostNqn: string
  readonly hostId: string
  readonly discovery: boolean
  /** CIU and CIRN. */
  readonly instance: number
  readonly instanceRandom: bigint
  readonly attachments: ReadonlyMap<number, unknown>
  /** Ends it for good; settles when nothing that it had can change data any more. */
  remove(why: 'crossReset' | 'close'): Promise<void>
}

/** What controllers need of their array. */
export interface ControllerHost {
  readonly settings: ArraySettings
  readonly records: Records
  readonly namespaces: Namespaces
  /** NSIDs that lists tell of beside those that are there. */
  readonly phantoms: number
  /** CNTLIDs of controllers that a cross-controller reset is ending. */
  readonly resetting: Set<number>
  /** GENCTR of the discovery log. */
  readonly generation: number
  readonly ports: readonly DiscoveryPort[]
  readonly referrals: readonly NvmeReferral[]
  after(milliseconds: number, callback: () => void): Timer
  /** Microseconds. */
  now(): number
  random(): number
  /** Whether its controllers become ready. */
  isEndless(port: number): boolean
  /** Every controller that has not ended. */
  controllers(): Iterable<SiblingController>
  /** A controller is gone, and has left something in its devices. */
  loose(controller: SiblingController): void
  /** What rules hold of a controller is thrown away. */
  dropHeld(controller: object): void
}
