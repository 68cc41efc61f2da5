import type { IoStatus, VolumeId } from '@blockbraid/core'
import { IoOp, NOT_EXECUTED, OK, PATH_ERROR } from '@blockbraid/core'
import { integer, object, wrong } from './options.ts'

/** Which commands fail, and how. What is left out matches everything. */
export interface FaultRule {
  /** Number of a port. */
  port?: number
  /** Identity or number of a volume. */
  volume?: VolumeId | number
  /** Which ops. @defaultValue all */
  ops?: readonly IoOp[]
  /** First byte of the range a command must touch, as on a medium error. @defaultValue 0 */
  offset?: number
  /** Bytes of that range. @defaultValue to the end */
  length?: number
  /** Share of the commands that fail, above 0 to 1. @defaultValue 1 */
  rate?: number
  /** What they end with, such as `Errno.EIO | PATH_ERROR` or `Errno.ENODATA`. They are not executed. */
  status: IoStatus
}

/** A rule with every field in place. */
export interface Fault {
  readonly port: number | undefined
  /** Number of a volume. */
  readonly volume: number | undefined
  readonly ops: readonly IoOp[]
  readonly offset: number
  readonly end: number
  /** Whether a range was asked for, which a Flush cannot touch. */
  readonly ranged: boolean
  readonly rate: number
  readonly status: IoStatus
}

/** The status that the first matching fault gives, or OK. */
export function judge(
  faults: readonly Fault[],
  op: IoOp,
  offset: number,
  length: number,
  random: () => number,
): IoStatus {
  for (const fault of faults) {
    if (!fault.ops.includes(op)) continue
    if (fault.ranged && (op === IoOp.Flush || offset >= fault.end || offset + length <= fault.offset)) continue
    if (fault.rate === 1 || random() < fault.rate) return fault.status
  }
  return OK
}

/** Fills in defaults; `names` finds ports and volumes. Throws a TypeError that names a wrong field. */
export function resolveFault(
  rule: FaultRule,
  names: { port: (number: number) => number; volume: (ref: VolumeId | number) => number },
): Fault {
  const given = object('rule', rule, ['port', 'volume', 'ops', 'offset', 'length', 'rate', 'status'])
  const rate = rule.rate ?? 1
  if (!(typeof rate === 'number' && rate > 0 && rate <= 1)) throw wrong('rule.rate', rate, 'above 0, at most 1')
  const ops = rule.ops ?? allOps
  if (!(Array.isArray(ops) && ops.every((op) => allOps.includes(op)))) throw wrong('rule.ops', ops, 'a list of IoOp')
  const offset = integer('rule.offset', rule.offset ?? 0, 0, Number.MAX_SAFE_INTEGER)
  const length = rule.length === undefined ? undefined : integer('rule.length', rule.length, 1, Number.MAX_SAFE_INTEGER)
  return {
    port: rule.port === undefined ? undefined : names.port(rule.port),
    volume: rule.volume === undefined ? undefined : names.volume(rule.volume),
    ops,
    offset,
    end: length === undefined ? Number.POSITIVE_INFINITY : offset + length,
    ranged: given['offset'] !== undefined || length !== undefined,
    rate,
    status: integer('rule.status', rule.status, 1, PATH_ERROR | NOT_EXECUTED | 0xffff),
  }
}

const allOps: readonly IoOp[] = Object.values(IoOp)
