import type { Host } from '@blockbraid/core'
import { FABRICS } from '../nvme/opcodes.ts'
import type { OutputTap } from '../pdu/output.ts'
import { isIncoming } from '../pdu/types.ts'
import type { FollowedRule, IncomingAction, QueueHooks, TappedConnection } from '../queue/host.ts'
import type { Request } from '../request/request.ts'
import { checkCommandRule, checkConnectRule, checkWireRule, typesOf } from './checks.ts'
import { Hold } from './holds.ts'
import type { Rule } from './rules.ts'
import { Rules } from './rules.ts'
import { Shuffle } from './shuffle.ts'
import type { CommandRule, ConnectRule, NvmeFault, NvmeFaults, NvmeHold, WireRule } from './types.ts'

/** The rules in force, and what they do. */
export class Faults implements NvmeFaults {
  phantomNamespaces = 0
  /** What queues ask; null while no rule is there for it. */
  readonly hooks: { -readonly [Hook in keyof QueueHooks]: QueueHooks[Hook] } = { incoming: null, command: null }
  readonly #host: Host
  readonly #ports: number
  readonly #wire: Rules<WireRule>
  readonly #commands: Rules<CommandRule>
  readonly #connects: Rules<ConnectRule>
  readonly #holds = new Map<Rule<CommandRule>, Hold>()

  /** `changed` is called when connections have to look whether they need a tap. */
  constructor(host: Host, ports: number, changed: () => void) {
    this.#host = host
    this.#ports = ports
    this.#wire = new Rules(host.random, () => {
      const incoming = this.#wire.all.some(({ options }) => typesOf(options.pdu).some(isIncoming))
      this.hooks.incoming = incoming ? this.#onIncoming : null
      changed()
    })
    this.#commands = new Rules(host.random, () => {
      this.hooks.command = this.#commands.all.length > 0 ? this.#onCommand : null
    })
    this.#connects = new Rules(host.random, () => {})
  }

  wire(rule: WireRule): NvmeFault {
    checkWireRule(rule, this.#ports)
    return this.#wire.add(rule)
  }

  command(rule: CommandRule): NvmeHold {
    checkCommandRule(rule, this.#ports)
    const added = this.#commands.add(rule)
    const hold = new Hold(added, () => this.#holds.delete(added))
    this.#holds.set(added, hold)
    return hold
  }

  connect(rule: ConnectRule): NvmeFault {
    checkConnectRule(rule, this.#ports)
    return this.#connects.add(rule)
  }

  heal(): void {
    for (const rules of [this.#wire, this.#commands, this.#connects]) rules.clear()
    for (const hold of this.#holds.values()) hold.release()
    this.phantomNamespaces = 0
  }

  /** Throws away what is held of a controller that has ended; returns how much that was. */
  dropHeld(controller: object): number {
    let dropped = 0
    for (const hold of this.#holds.values()) dropped += hold.drop(controller)
    return dropped
  }

  /** Whether a connection follows a rule that keeps it from coming up. */
  follows(port: number, action: 'mute' | 'endless'): boolean {
    return this.#connects.find(port, (rule) => rule.action === action) !== undefined
  }

  /** The rule that refuses a Connect. */
  refusal(port: number, admin: boolean, discovery: boolean): ConnectRule | undefined {
    return this.#connects.find(port, (rule) => {
      const there = rule.admin === undefined || rule.admin === admin
      return rule.action === 'refuse' && there && (rule.discovery === undefined || rule.discovery === discovery)
    })?.options
  }

  /** What stands before a connection's output, where a rule is for it. */
  tapFor(connection: TappedConnection): OutputTap | undefined {
    const rules = this.#wire.all.filter(({ options }) => !typesOf(options.pdu).every(isIncoming))
    if (rules.length === 0) return undefined
    const shuffle = new Shuffle(connection.out, this.#host)
    return (pdu) => this.#outgoing(connection, shuffle, pdu)
  }

  readonly #onIncoming = (connection: TappedConnection, bytes: Uint8Array, at: number): IncomingAction => {
    const rule = this.#find(connection, bytes[at]!)
    if (rule === undefined) return 'pass'
    if (!('cut' in rule)) return 'drop'
    return rule.reset === true ? 'reset' : 'cut'
  }

  readonly #onCommand = (port: number, request: Request, early: boolean): FollowedRule | undefined => {
    const rule = this.#commands.find(port, (options) => {
      const { admin = false, opcode, fctype, nsid } = options
      if (early !== (options.early ?? false) && (early || request.take > 0)) return false
      if (admin !== (request.queue!.id === 0)) return false
      if (opcode !== undefined && opcode !== request.opcode) return false
      if (fctype !== undefined && (request.opcode !== FABRICS || request.entry[4] !== fctype)) return false
      return nsid === undefined || nsid === request.nsid
    })
    if (rule === undefined) return undefined
    const hold = this.#holds.get(rule)!
    return { options: rule.options, hold: (held) => hold.hold(held) }
  }

  #find({ port, admin }: TappedConnection, type: number): WireRule | undefined {
    return this.#wire.find(port, (rule) => {
      return typesOf(rule.pdu).includes(type) && (rule.admin === undefined || rule.admin === admin)
    })?.options
  }

  #outgoing(connection: TappedConnection, shuffle: Shuffle, pdu: Buffer): void {
    const rule = this.#find(connection, pdu[0]!)
    const { out } = connection
    if (rule === undefined) shuffle.pass(pdu)
    else if ('delay' in rule) this.#host.clock.after(rule.delay, () => out.raw(pdu))
    else if ('cut' in rule) {
      out.raw(pdu.subarray(0, rule.cut))
      if (rule.reset === true) connection.reset()
      else connection.finish()
    } else if ('corrupt' in rule) {
      const at = rule.corrupt < 0 ? pdu.length + rule.corrupt : rule.corrupt
      if (at < pdu.length) pdu[at]! ^= 0x01
      out.raw(pdu)
    } else if ('replace' in rule) for (const bytes of rule.replace(pdu)) out.raw(bytes)
    else if ('reorder' in rule) shuffle.keep(pdu, rule.reorder)
  }
}
