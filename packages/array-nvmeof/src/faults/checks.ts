import { integer, integerIfGiven, oneOf, wrong } from '../options/checks.ts'
import { isIncoming, PduType } from '../pdu/types.ts'
import type { CommandRule, ConnectRule, FaultMatch, WireRule } from './types.ts'

const MOST = Number.MAX_SAFE_INTEGER
const MOST_STATUS = 0x7ff
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

/** Types that a rule names. */
export function typesOf(pdu: WireRule['pdu']): readonly number[] {
  return (typeof pdu === 'string' ? [pdu] : pdu).map((name) => PduType[name])
}

function checkMatch({ port, after, count, rate = 1 }: FaultMatch, ports: number): void {
  integerIfGiven('rule.port', port, 0, ports - 1)
  integerIfGiven('rule.after', after, 0, MOST)
  integerIfGiven('rule.count', count, 0, MOST)
  if (!(rate >= 0 && rate <= 1)) throw wrong('rule.rate', rate, 'a share from 0 to 1')
}

/** Throws a TypeError that names what is wrong with a rule; so do the others. */
export function checkWireRule(rule: WireRule, ports: number): void {
  checkMatch(rule, ports)
  const types = typesOf(rule.pdu)
  if (types.length === 0 || types.includes(undefined as never)) {
    throw new TypeError(`rule.pdu is ${String(rule.pdu)}; known are ${Object.keys(PduType).join(', ')}`)
  }
  const given = Object.keys(actions).filter((name) => name in rule)
  const [action] = given
  if (given.length !== 1 || action === undefined) {
    throw new TypeError(
      `rule has ${given.join(', ') || 'no action'}; it must have one of ${Object.keys(actions).join(', ')}`,
    )
  }
  if (!incomingActions.includes(action) && types.some(isIncoming)) {
    throw new TypeError(`rule.pdu is ${String(rule.pdu)}; ${action} is for PDUs that the array sends`)
  }
  const value = (rule as unknown as Record<string, unknown>)[action]
  const bounds = actions[action]
  if (bounds !== undefined) integer(`rule.${action}`, value as number, ...bounds)
  if ('drop' in rule) oneOf('rule.drop', value, [true])
  if ('replace' in rule && typeof value !== 'function') throw wrong('rule.replace', value, 'a function of a PDU')
}

export function checkCommandRule(rule: CommandRule, ports: number): void {
  checkMatch(rule, ports)
  integerIfGiven('rule.opcode', rule.opcode, 0, 0xff)
  integerIfGiven('rule.fctype', rule.fctype, 0, 0xff)
  integerIfGiven('rule.nsid', rule.nsid, 0, 0xffff_ffff)
  integerIfGiven('rule.status', rule.status, 1, MOST_STATUS)
  integerIfGiven('rule.retryDelay', rule.retryDelay, 0, 3)
  if (rule.data !== undefined && typeof rule.data !== 'function')
    throw wrong('rule.data', rule.data, 'a function of data')
  const given = ['status', 'hangs', 'holds', 'data'].filter((name) => (rule as never as object)[name as never])
  if (given.length !== 1) {
    throw new TypeError(`rule has ${given.join(', ') || 'no action'}; it must have one of status, hangs, holds, data`)
  }
}

export function checkConnectRule(rule: ConnectRule, ports: number): void {
  checkMatch(rule, ports)
  oneOf('rule.action', rule.action, ['refuse', 'mute', 'endless'])
  integerIfGiven('rule.status', rule.status, 1, MOST_STATUS)
}
