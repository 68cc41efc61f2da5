import { get16le, get32le } from '@blockbraid/wire'
import type { ConnectionRequest } from './encode.ts'
import type { Fault } from './fault.ts'
import { Fes, fault } from './fault.ts'
import { LEAST_MAX_H2C_DATA } from './opcode.ts'

/** What host and controller have agreed on for a connection (NVMe/TCP Transport 1.1 §3.6.2.3). */
export interface Agreed {
  readonly headerDigest: boolean
  readonly dataDigest: boolean
  /** Where the host's data begins: a multiple of so many bytes (CPDA). */
  readonly align: number
  /** MAXH2CDATA: bytes of data in one H2CData. */
  readonly maxH2cData: number
}

/** What an ICResp at `bytes[at]` agrees on, as the answer to `request`; or what is wrong with it. */
export function agree(bytes: Buffer, at: number, request: ConnectionRequest): Agreed | Fault {
  const version = get16le(bytes, at + 8)
  if (version !== 0) return fault(Fes.Unsupported, 8, `an ICResp with PDU format ${version}, and not 0`)
  const align = bytes[at + 10] as number
  if (align > 31) return fault(Fes.InvalidField, 10, `an ICResp with CPDA ${align}; 0 to 31 are allowed`)
  const digests = bytes[at + 11] as number
  const headerDigest = (digests & 1) !== 0
  const dataDigest = (digests & 2) !== 0
  const unasked = (headerDigest && !request.headerDigest) || (dataDigest && !request.dataDigest)
  if (unasked) return fault(Fes.InvalidField, 11, 'an ICResp with a digest that was not asked for')
  const maxH2cData = get32le(bytes, at + 12)
  if (maxH2cData < LEAST_MAX_H2C_DATA || maxH2cData % 4 !== 0) {
    const legal = `a multiple of 4 from ${LEAST_MAX_H2C_DATA} on is allowed`
    return fault(Fes.InvalidField, 12, `an ICResp with MAXH2CDATA ${maxH2cData}; ${legal}`)
  }
  return { headerDigest, dataDigest, align: (align + 1) * 4, maxH2cData }
}
