import { LogPage } from './admin.ts'

/** Bits of Asynchronous Event Configuration, the same as those of OAES from bit 8 on (NVMe Base 2.1 §5.1.25.1.5). */
export const EventBit = {
  /** Critical warnings of the SMART log: bits 4:0, which every controller knows. */
  Critical: 0x1f,
  /** Namespaces came, went or changed. */
  Namespaces: 2 ** 8,
  /** The ANA log changed. */
  Ana: 2 ** 11,
  /** A cross-controller reset has ended (NVMe Base 2.3). */
  CrossControllerReset: 2 ** 20,
  /** The discovery log changed. */
  Discovery: 2 ** 31,
} as const

/** What an asynchronous event is about. */
export type EventKind = 'namespaces' | 'ana' | 'discovery' | 'reset' | 'error' | 'smart' | 'other'

/** An asynchronous event: the result of an Asynchronous Event Request (NVMe Base 2.1 §5.1.2). */
export interface AsyncEvent {
  readonly kind: EventKind
  /** Log page that says more, and that has others of its type wait until it is read; 0: none. */
  readonly log: number
  /** For people. */
  readonly text: string
}

const ERROR = 0
const SMART = 1
const NOTICE = 2

const NOTICES = new Map<number, readonly [EventKind, string]>([
  [0x00, ['namespaces', 'namespaces changed']],
  [0x01, ['other', 'firmware is being activated']],
  [0x02, ['other', 'the telemetry log changed']],
  [0x03, ['ana', 'access states changed']],
  [0xf0, ['discovery', 'the discovery log changed']],
  [0xf4, ['reset', 'a cross-controller reset has ended']],
])
const ERRORS: readonly string[] = [
  'a doorbell register is invalid',
  'a doorbell value is invalid',
  'a diagnostic has failed',
  'a persistent internal error',
  'a transient internal error',
  'the firmware image cannot be loaded',
]
const HEALTH: readonly string[] = ['reliability is degraded', 'temperature out of bounds', 'spare capacity is low']

/** Decodes the result of an Asynchronous Event Request. */
export function decodeEvent(result: number): AsyncEvent {
  const type = result & 7
  const info = (result >>> 8) & 0xff
  const log = (result >>> 16) & 0xff
  if (type === ERROR)
    return { kind: 'error', log: log || LogPage.Error, text: ERRORS[info] ?? `an error, code ${info}` }
  if (type === SMART) return { kind: 'smart', log: log || LogPage.Smart, text: HEALTH[info] ?? `health, code ${info}` }
  const notice = type === NOTICE ? NOTICES.get(info) : undefined
  if (notice !== undefined) return { kind: notice[0], log, text: notice[1] }
  return { kind: 'other', log, text: `an event of type ${type}, code ${info}` }
}
