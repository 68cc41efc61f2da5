import type { Timer } from '@blockbraid/core'
import type { Controller, ControllerIdentity } from '../controller/controller.ts'
import type { Records } from '../controller/records.ts'
import type { CommandRule, ConnectRule } from '../faults/types.ts'
import type { ArraySettings } from '../options/settings.ts'
import type { OutputTap } from '../pdu/output.ts'
import type { Request } from '../request/request.ts'

/** What a rule says of a PDU that has come in. */
export type IncomingAction = 'pass' | 'drop' | 'cut' | 'reset'

/** Rules that are in force now, as queues ask for them. */
export interface QueueHooks {
  /** Null while no rule is for PDUs that come in. */
  readonly incoming: ((connection: TappedConnection, bytes: Uint8Array, at: number) => IncomingAction) | null
  /** Null while no rule is for commands; gives the one that takes care of a command. */
  readonly command: ((port: number, request: Request, early: boolean) => FollowedRule | undefined) | null
}

/** A rule for commands, and what it holds. */
export interface FollowedRule {
  readonly options: CommandRule
  hold(request: Request): void
}

/** A connection, as rules for its PDUs see it. */
export interface TappedConnection {
  readonly port: number
  /** Whether its queue is, or may become, an admin queue. */
  readonly admin: boolean
  readonly out: { raw(pdu: Uint8Array): void }
  /** Ends it when all that was sent is out. */
  finish(): void
  /** Ends it by RST. */
  reset(): void
}

/** What connections and their queues need of their array. */
export interface ConnectionHost {
  readonly port: number
  readonly serves: 'both' | 'subsystem' | 'discovery'
  readonly settings: ArraySettings
  readonly records: Records
  readonly hooks: QueueHooks
  /** A connection that gets no answer to its ICReq. */
  readonly mute: boolean
  after(milliseconds: number, callback: () => void): Timer
  /** The rule that refuses a Connect. */
  refusal(admin: boolean, discovery: boolean): ConnectRule | undefined
  /** A controller that has not ended. */
  find(id: number): Controller | undefined
  /** Whether there are as many controllers as there may be. */
  full(): boolean
  /** A new controller. */
  make(identity: Omit<ControllerIdentity, 'id' | 'port'>): Controller
  closed(connection: TappedConnection): void
  /** Sees what goes out, while there are rules for it. */
  tapFor(connection: TappedConnection): OutputTap | undefined
}
