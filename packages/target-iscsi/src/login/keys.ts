import { BlockError } from '@blockbraid/core'
import type { Rule } from './rules.ts'
import { booleanRule, listRule, numberRule } from './rules.ts'
import { printable, shown } from './text.ts'
import { parseNumber } from './values.ts'

/** What we propose for a session; lengths in bytes (RFC 7143 §13). */
export interface OperationalOptions {
  /** In order of preference, as sent. */
  readonly headerDigest: readonly ('None' | 'CRC32C')[]
  /** In order of preference, as sent. */
  readonly dataDigest: readonly ('None' | 'CRC32C')[]
  readonly immediateData: boolean
  readonly initialR2T: boolean
  readonly firstBurstLength: number
  readonly maxBurstLength: number
  /** What we declare: the longest data segment that we take in full feature phase. */
  readonly maxRecvDataSegmentLength: number
  readonly maxOutstandingR2T: number
}

/** What a session agreed on; lengths in bytes. */
export interface OperationalResult {
  readonly headerDigest: boolean
  readonly dataDigest: boolean
  readonly immediateData: boolean
  readonly initialR2T: boolean
  /** Never above `maxBurstLength`. */
  readonly firstBurstLength: number
  readonly maxBurstLength: number
  /** Longest data segment that the target takes. */
  readonly maxSendSegment: number
  readonly maxOutstandingR2T: number
  /** Seconds to wait before a lost connection or session is set up again. */
  readonly time2Wait: number
  /** Seconds that the target keeps the tasks of a lost connection. */
  readonly time2Retain: number
  readonly targetPortalGroupTag: number | undefined
  readonly targetAlias: string | undefined
}

/** The operational keys of one login. */
export interface OperationalKeys {
  /** Our declarations and proposals, without what the target has brought up itself. Called once. */
  offer(): [key: string, value: string][]
  /** Takes a key of the target; gives our answer where it needs one. Throws PROTOCOL, NOT_SUPPORTED. */
  take(key: string, value: string): [key: string, value: string] | undefined
  /** The outcome. Throws NOT_SUPPORTED where the target does not agree to what our proposal insists on. */
  result(): OperationalResult
}

const segment = [512, 0xff_ffff] as const
const seconds = [0, 3600] as const

/** Keys that make no sense in a discovery session: never offered there, answered with Irrelevant. */
const normalOnly = new Set([
  'MaxConnections',
  'InitialR2T',
  'ImmediateData',
  'FirstBurstLength',
  'MaxBurstLength',
  'MaxOutstandingR2T',
  'DataPDUInOrder',
  'DataSequenceInOrder',
])
/** Answered, never offered by us: the standard's default is what we want. */
const onlyAnswered = new Set(['TaskReporting', 'iSCSIProtocolLevel'])
/** §13.25: obsolete, to be rejected. */
const obsolete = new Set(['IFMarker', 'OFMarker', 'IFMarkInt', 'OFMarkInt'])
/** Keys that the target declares; the same value may come again. */
const declared = new Set(['MaxRecvDataSegmentLength', 'TargetAlias', 'TargetPortalGroupTag'])
/** Keys that only an initiator sends. */
const ours = new Set(['InitiatorName', 'InitiatorAlias', 'SessionType', 'SendTargets', 'TargetName'])
/** Options of the initiator by the key that they offer. */
const digestOptions = new Map([
  ['HeaderDigest', 'headerDigest'],
  ['DataDigest', 'dataDigest'],
])
const refusals = new Set(['Irrelevant', 'NotUnderstood', 'Reject'])

/** Rules of every negotiated key (§13, RFC 7144 §7.1); the third argument is the standard's default. */
function rulesOf(o: OperationalOptions): Map<string, Rule> {
  return new Map([
    ['HeaderDigest', listRule(o.headerDigest, 'None')],
    ['DataDigest', listRule(o.dataDigest, 'None')],
    ['InitialR2T', booleanRule('or', o.initialR2T, true)],
    ['ImmediateData', booleanRule('and', o.immediateData, true)],
    ['FirstBurstLength', numberRule('min', o.firstBurstLength, 65_536, segment)],
    ['MaxBurstLength', numberRule('min', o.maxBurstLength, 262_144, segment)],
    ['MaxOutstandingR2T', numberRule('min', o.maxOutstandingR2T, 1, [1, 65_535])],
    ['MaxConnections', numberRule('min', 1, 1, [1, 65_535])],
    ['DefaultTime2Wait', numberRule('max', 0, 2, seconds)],
    ['DefaultTime2Retain', numberRule('min', 0, 20, seconds)],
    ['ErrorRecoveryLevel', numberRule('min', 0, 0, [0, 2])],
    ['DataPDUInOrder', booleanRule('or', true, true)],
    ['DataSequenceInOrder', booleanRule('or', true, true)],
    ['TaskReporting', listRule(['RFC3720'], 'RFC3720')],
    ['iSCSIProtocolLevel', numberRule('min', 1, 1, [0, 31])],
  ])
}

/** Negotiates the operational keys of a normal or a discovery session. */
export function createOperationalKeys(options: OperationalOptions, discovery: boolean): OperationalKeys {
  const rules = rulesOf(options)
  const offered = new Set<string>()
  const results = new Map<string, string>()
  const declarations = new Map<string, string>()
  const unknown = new Set<string>()

  function offer(): [string, string][] {
    const pairs: [string, string][] = [['MaxRecvDataSegmentLength', String(options.maxRecvDataSegmentLength)]]
    for (const [key, rule] of rules) {
      if (results.has(key) || onlyAnswered.has(key) || (discovery && normalOnly.has(key))) continue
      offered.add(key)
      pairs.push([key, rule.offer])
    }
    return pairs
  }

  function take(key: string, value: string): [string, string] | undefined {
    if (key === 'TargetAddress') return undefined // of use beside a redirect only
    if (ours.has(key)) throw new BlockError('PROTOCOL', `the target sent ${key}, a key of initiators`)
    if (declared.has(key)) return declare(key, value)
    const rule = rules.get(key)
    if (rule === undefined) return answerUnknown(key, value)
    if (results.has(key)) throw new BlockError('PROTOCOL', `the target negotiates ${key} a second time`)
    if (offered.has(key)) return settle(key, rule, value)
    return respond(key, rule, value)
  }

  function declare(key: string, value: string): undefined {
    const before = declarations.get(key)
    if (before !== undefined && before !== value) {
      throw new BlockError('PROTOCOL', `the target declares ${key} a second time, with another value`)
    }
    if (key === 'MaxRecvDataSegmentLength') checkRange(key, value, segment)
    if (key === 'TargetPortalGroupTag') checkRange(key, value, [0, 65_535])
    declarations.set(key, value)
  }

  function settle(key: string, rule: Rule, value: string): undefined {
    // Targets without digests answer None even where it was not offered: tgt does.
    const result = refusals.has(value) || value === rule.refusal ? fallback(key, rule) : rule.settle(value)
    if (result === undefined) {
      const field = rule.offer === 'None' ? digestOptions.get(key) : undefined
      const cure = field === undefined ? '' : `: it insists on digests, set ${field} to prefer`
      throw new BlockError('PROTOCOL', `the target answers ${key}=${rule.offer} with ${shown(value)}${cure}`)
    }
    results.set(key, result)
  }

  function respond(key: string, rule: Rule, value: string): [string, string] {
    if (refusals.has(value)) throw new BlockError('PROTOCOL', `the target answers ${key}, which was not offered`)
    if (discovery && normalOnly.has(key)) {
      results.set(key, fallback(key, rule))
      return [key, 'Irrelevant']
    }
    const result = rule.respond(value)
    results.set(key, result ?? fallback(key, rule))
    return [key, result ?? 'Reject']
  }

  function answerUnknown(key: string, value: string): [string, string] {
    if (unknown.has(key)) throw new BlockError('PROTOCOL', `the target sent ${shown(key)} a second time`)
    if (refusals.has(value)) throw new BlockError('PROTOCOL', `the target answers ${shown(key)}, which was not offered`)
    unknown.add(key)
    return [key, obsolete.has(key) ? 'Reject' : 'NotUnderstood']
  }

  function result(): OperationalResult {
    for (const [key, rule] of rules) if (!results.has(key)) results.set(key, fallback(key, rule))
    const number = (key: string) => Number(results.get(key))
    const maxBurstLength = number('MaxBurstLength')
    const tag = declarations.get('TargetPortalGroupTag')
    const alias = declarations.get('TargetAlias')
    return {
      headerDigest: results.get('HeaderDigest') === 'CRC32C',
      dataDigest: results.get('DataDigest') === 'CRC32C',
      immediateData: results.get('ImmediateData') === 'Yes',
      initialR2T: results.get('InitialR2T') === 'Yes',
      firstBurstLength: Math.min(number('FirstBurstLength'), maxBurstLength),
      maxBurstLength,
      maxSendSegment: Number(declarations.get('MaxRecvDataSegmentLength') ?? 8192),
      maxOutstandingR2T: number('MaxOutstandingR2T'),
      time2Wait: number('DefaultTime2Wait'),
      time2Retain: number('DefaultTime2Retain'),
      targetPortalGroupTag: tag === undefined ? undefined : Number(tag),
      targetAlias: alias === undefined ? undefined : printable(alias),
    }
  }

  return { offer, take, result }
}

function fallback(key: string, rule: Rule): string {
  const result = rule.fallback()
  if (result === undefined) {
    const field = digestOptions.get(key)
    const cure = field === undefined ? '' : `: set ${field} to prefer`
    throw new BlockError('NOT_SUPPORTED', `the target does not agree to ${key}=${rule.offer}${cure}`)
  }
  return result
}

function checkRange(key: string, text: string, [low, high]: readonly [number, number]): void {
  const value = parseNumber(text)
  if (value === undefined || value < low || value > high) {
    throw new BlockError('PROTOCOL', `the target declares ${key} as ${shown(text)}, not ${low} to ${high}`)
  }
}
