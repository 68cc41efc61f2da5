import { PduType } from './opcode.ts'

/** Fatal error status of a termination request (NVMe/TCP Transport 1.1 §3.6.2.4, §3.6.2.5). */
export const Fes = {
  InvalidField: 0x01,
  Sequence: 0x02,
  HeaderDigest: 0x03,
  OutOfRange: 0x04,
  /** To the controller: more R2Ts than agreed on. To the host: more data than agreed on. */
  LimitExceeded: 0x05,
  Unsupported: 0x06,
} as const
/** One of the values of {@link Fes}. */
export type Fes = (typeof Fes)[keyof typeof Fes]

/** Something that ends a connection. */
export interface Fault {
  readonly reason: string
  readonly fes: Fes
  /** Byte of the header that is wrong, or the digest that came with it. */
  readonly fei: number
}

/** A fault, as the field at byte `at` has it. */
export function fault(fes: Fes, at: number, reason: string): Fault {
  return { fes, fei: at, reason }
}

const WORDS: Record<number, string> = {
  [Fes.InvalidField]: 'a field of a header is invalid',
  [Fes.Sequence]: 'a PDU came out of sequence',
  [Fes.HeaderDigest]: 'a header digest is wrong',
  [Fes.OutOfRange]: 'data outside of what was asked for',
  [Fes.LimitExceeded]: 'more data than agreed on',
  [Fes.Unsupported]: 'a parameter that it does not support',
}

/** What a controller's termination request says. */
export function termReqWords(fes: number, fei: number): string {
  const hex = fes.toString(16).padStart(2, '0')
  const words = WORDS[fes]
  if (words === undefined) return `fatal error status ${hex}h, which the standard does not have`
  if (fes === Fes.InvalidField || fes === Fes.Unsupported) return `${words} (${hex}h, byte ${fei})`
  return `${words} (${hex}h)`
}

const NAMES: Record<number, string> = {
  [PduType.IcResp]: 'ICResp',
  [PduType.C2hTermReq]: 'C2HTermReq',
  [PduType.CapsuleResp]: 'CapsuleResp',
  [PduType.C2hData]: 'C2HData',
  [PduType.ReadyToTransfer]: 'R2T',
}

/** What the standard calls a controller's PDU. */
export function pduName(type: number): string {
  return NAMES[type] ?? `PDU of type ${type.toString(16).padStart(2, '0')}h`
}
