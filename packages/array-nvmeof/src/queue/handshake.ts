import { get16le, get32le, put16le, put32le } from '@blockbraid/wire'
import type { ArraySettings } from '../options/settings.ts'
import type { Output } from '../pdu/output.ts'
import type { PduParser } from '../pdu/parser.ts'
import { Fes, PduType } from '../pdu/types.ts'
import type { PduFault } from './data-in.ts'

/** Bytes of ICReq and ICResp. */
export const IC_LENGTH = 128
const LONGEST_ALIGNMENT = 31

/** What an ICReq asks for (TCP transport 1.1 §3.6.2.1). */
export interface Handshake {
  readonly format: number
  /** HPDA. */
  readonly alignment: number
  readonly digests: number
  /** R2Ts of a command at once. */
  readonly maxR2ts: number
}

/** Reads an ICReq. */
export function readHandshake(bytes: Buffer, at: number): Handshake {
  return {
    format: get16le(bytes, at + 8),
    alignment: bytes[at + 10]!,
    digests: bytes[at + 11]!,
    maxR2ts: get32le(bytes, at + 12) + 1,
  }
}

/** What is wrong with one. */
export function handshakeFault({ format, alignment }: Handshake): PduFault | undefined {
  if (format !== 0) return { fes: Fes.unsupportedParameter, info: 8, reason: `PFV ${format}; it must be 0` }
  if (alignment <= LONGEST_ALIGNMENT) return undefined
  return { fes: Fes.invalidHeader, info: 10, reason: `HPDA ${alignment}, more than ${LONGEST_ALIGNMENT}` }
}

/** Answers one, and does from now on what was agreed on. */
export function answerHandshake(handshake: Handshake, settings: ArraySettings, out: Output, parser: PduParser): void {
  const headerDigest = (handshake.digests & 1) !== 0 && settings.headerDigest
  const dataDigest = (handshake.digests & 2) !== 0 && settings.dataDigest
  const at = out.begin(PduType.icResp, 0, IC_LENGTH)
  const { bytes } = out
  put16le(bytes, at + 8, 0)
  bytes[at + 10] = settings.dataAlignment / 4 - 1
  bytes[at + 11] = (headerDigest ? 1 : 0) | (dataDigest ? 2 : 0)
  put32le(bytes, at + 12, settings.maxH2CData)
  out.end(at)
  out.headerDigest = headerDigest
  out.dataDigest = dataDigest
  out.alignment = 4 * (handshake.alignment + 1)
  parser.headerDigest = headerDigest
  parser.dataDigest = dataDigest
}
