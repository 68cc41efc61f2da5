import { integer, integerIfGiven, oneOf, wrong } from '../checks.ts'
import { PduOpcode } from '../pdu/opcodes.ts'
import type { CommandRule, FaultMatch, LoginRule, TaskManagementRule, WireRule } from './types.ts'

const MOST = Number.MAX_SAFE_INTEGER
const MOST_LUN = 0xff_ffff
/** What a PDU can meet, and the least and most of those that are numbers. */
const actions: Readonly<Record<string, readonly [number, number] | undefined>> = {
  drop: undefined,
  delay: [0, 2 ** 31 - 1],
  cut: [0, MOST],
  corrupt: [-MOST, MOST],
  reorder: [0, 2 ** 31 - 1],
  replace: undefined,
}
/** Those that can be done to PDUs that come in. */
const incomingActions = ['drop', 'cut']

/** Opcodes that a rule names. */
export function opcodesOf(pdu: WireRule['pdu']): readonly number[] {
  return (typeof pdu === 'string' ? [pdu] : pdu).map((name) => PduOpcode[name])
}

/** Whether PDUs of that kind come from initiators. */
export function isIncoming(opcode: number): boolean {
  return opcode < 0x20
}

function checkMatch({ portal, after, count, rate = 1 }: FaultMatch, portals: number): void {
  integerIfGiven('rule.portal', portal, 0, portals - 1)
  integerIfGiven('rule.after', after, 0, MOST)
  integerIfGiven('rule.count', count, 0, MOST)
  if (!(rate >= 0 && rate <= 1)) throw wrong('rule.rate', rate, 'a share from 0 to 1')
}

/** Throws a TypeError that names what is wrong with a rule; so do the others. */
export function checkWireRule(rule: WireRule, portals: number): void {
  checkMatch(rule, portals)
  integerIfGiven('rule.lun', rule.lun, 0, MOST_LUN)
  const opcodes = opcodesOf(rule.pdu)
  if (opcodes.length === 0 || opcodes.includes(undefined as never)) {
    throw new TypeError(`rule.pdu is ${String(rule.pdu)}; known are ${Object.keys(PduOpcode).join(', ')}`)
  }
  const given = Object.keys(actions).filter((name) => name in rule)
  const [action] = given
  if (given.length !== 1 || action === undefined) {
    throw new TypeError(
      `rule has ${given.join(', ') || 'no action'}; it must have one of ${Object.keys(actions).join(', ')}`,
    )
  }
  if (!incomingActions.includes(action) && opcodes.some(isIncoming)) {
    throw new TypeError(`rule.pdu is ${String(rule.pdu)}; ${action} is for PDUs that the array sends`)
  }
  const value = (rule as unknown as Record<string, unknown>)[action]
  const bounds = actions[action]
  if (bounds !== undefined) integer(`rule.${action}`, value as number, ...bounds)
  if ('drop' in rule) oneOf('rule.drop', value, [true])
  if ('replace' in rule && typeof value !== 'function') throw wrong('rule.replace', value, 'a function of a PDU')
}

export function checkCommandRule(rule: CommandRule, portals: number): void {
  checkMatch(rule, portals)
  integerIfGiven('rule.lun', rule.lun, 0, MOST_LUN)
  integerIfGiven('rule.opcode', rule.opcode, 0, 0xff)
  integer('rule.status', rule.status, 0, 0xff)
  integerIfGiven('rule.sense', rule.sense, 0, 0xff_ffff)
  oneOf('rule.early', rule.early ?? false, [false, true, 'r2t'])
}

export function checkLoginRule(rule: LoginRule, portals: number): void {
  checkMatch(rule, portals)
  oneOf('rule.action', rule.action, ['refuse', 'endless', 'mute'])
  integerIfGiven('rule.status', rule.status, 0, 0xffff)
}

export function checkTaskManagementRule(rule: TaskManagementRule, portals: number): void {
  checkMatch(rule, portals)
  integerIfGiven('rule.function', rule.function, 0, 0x7f)
  integer('rule.response', rule.response, 0, 0xff)
}
