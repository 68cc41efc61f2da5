import type { Host } from '@blockbraid/core'
import { PduOpcode } from '../pdu/opcodes.ts'
import type { Output, OutputTap } from '../pdu/output.ts'
import { lunOfPdu } from '../scsi/lun.ts'
import type { Task } from '../scsi/task.ts'
import type { IncomingAction, SessionHooks } from '../session/host.ts'
import {
  checkCommandRule,
  checkLoginRule,
  checkTaskManagementRule,
  checkWireRule,
  isIncoming,
  opcodesOf,
} from './checks.ts'
import { Rules } from './rules.ts'
import { Shuffle } from './shuffle.ts'
import type { CommandRule, IscsiFault, IscsiFaults, LoginRule, TaskManagementRule, WireRule } from './types.ts'

// PDUs that tell of a LUN; of the others, Data-In and responses belong to the task that is answered now.
const withLun: ReadonlySet<number> = new Set([
  PduOpcode.scsiCommand,
  PduOpcode.taskManagement,
  PduOpcode.dataOut,
  PduOpcode.r2t,
])

/** Whether a PDU is one that a rule is for; `answering`: LUN of the task that is answered now. */
function fits(rule: WireRule, bytes: Uint8Array, at: number, answering: number): boolean {
  const opcode = bytes[at]! & 0x3f
  if (!opcodesOf(rule.pdu).includes(opcode)) return false
  if (rule.lun === undefined) return true
  if (withLun.has(opcode)) return rule.lun === lunOfPdu(bytes, at)
  return (opcode === PduOpcode.dataIn || opcode === PduOpcode.scsiResponse) && rule.lun === answering
}

/** A connection, as rules for what it sends see it. */
export interface TappedConnection {
  readonly portal: number
  readonly out: Output
  /** LUN of the task that is answered now; -1: none. */
  readonly answeringLun: number
  /** Ends it when all that was sent is out. */
  finish(): void
  /** Ends it by RST. */
  reset(): void
}

/** The rules in force, and what they do. */
export class Faults implements IscsiFaults {
  phantomLuns = 0
  /** What sessions ask; null while no rule is there for it. */
  readonly hooks: { -readonly [Hook in keyof SessionHooks]: SessionHooks[Hook] } = { incoming: null, command: null }
  readonly #host: Host
  readonly #portals: number
  readonly #wire: Rules<WireRule>
  readonly #commands: Rules<CommandRule>
  readonly #logins: Rules<LoginRule>
  readonly #management: Rules<TaskManagementRule>

  /** `changed` is called when connections have to look whether they need a tap. */
  constructor(host: Host, portals: number, changed: () => void) {
    this.#host = host
    this.#portals = portals
    this.#wire = new Rules(host.random, () => {
      const incoming = this.#wire.all.some(({ options }) => opcodesOf(options.pdu).some(isIncoming))
      this.hooks.incoming = incoming ? this.#onIncoming : null
      changed()
    })
    this.#commands = new Rules(host.random, () => {
      this.hooks.command = this.#commands.all.length > 0 ? this.#onCommand : null
    })
    this.#logins = new Rules(host.random, () => {})
    this.#management = new Rules(host.random, () => {})
  }

  wire(rule: WireRule): IscsiFault {
    checkWireRule(rule, this.#portals)
    return this.#wire.add(rule)
  }

  command(rule: CommandRule): IscsiFault {
    checkCommandRule(rule, this.#portals)
    return this.#commands.add(rule)
  }

  login(rule: LoginRule): IscsiFault {
    checkLoginRule(rule, this.#portals)
    return this.#logins.add(rule)
  }

  taskManagement(rule: TaskManagementRule): IscsiFault {
    checkTaskManagementRule(rule, this.#portals)
    return this.#management.add(rule)
  }

  heal(): void {
    for (const rules of [this.#wire, this.#commands, this.#logins, this.#management]) rules.clear()
    this.phantomLuns = 0
  }

  /** Whether a connection follows a rule that keeps its login from ending. */
  loginRule(portal: number, action: 'endless' | 'mute'): LoginRule | undefined {
    return this.#logins.find(portal, (rule) => rule.action === action)
  }

  /** The rule that refuses a login, or sends it elsewhere. */
  refusal(portal: number, discovery: boolean): LoginRule | undefined {
    return this.#logins.find(
      portal,
      (rule) => rule.action === 'refuse' && (rule.discovery === undefined || rule.discovery === discovery),
    )
  }

  /** The response that a task management function gets, or -1. */
  managementVerdict(portal: number, action: number): number {
    const rule = this.#management.find(portal, (one) => one.function === undefined || one.function === action)
    return rule?.response ?? -1
  }

  /** What stands before a connection's output, where a rule is for it. */
  tapFor(connection: TappedConnection): OutputTap | undefined {
    const rules = this.#wire.all.filter(({ options }) => !opcodesOf(options.pdu).every(isIncoming))
    if (rules.length === 0) return undefined
    const shuffle = new Shuffle(connection.out, this.#host)
    return (pdu) => this.#outgoing(connection, shuffle, pdu)
  }

  readonly #onIncoming = (portal: number, bytes: Uint8Array, at: number): IncomingAction => {
    const rule = this.#wire.find(portal, (one) => fits(one, bytes, at, -1))
    if (rule === undefined) return 'pass'
    if (!('cut' in rule)) return 'drop'
    return rule.reset === true ? 'reset' : 'cut'
  }

  readonly #onCommand = (portal: number, task: Task): CommandRule | undefined =>
    this.#commands.find(portal, ({ lun, opcode }) => {
      const there = lun === undefined || task.nexus?.mapping.lun === lun
      return there && (opcode === undefined || opcode === task.opcode)
    })

  #outgoing(connection: TappedConnection, shuffle: Shuffle, pdu: Buffer): void {
    const rule = this.#wire.find(connection.portal, (one) => fits(one, pdu, 0, connection.answeringLun))
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
