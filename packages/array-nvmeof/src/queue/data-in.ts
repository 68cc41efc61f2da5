import { get16le, get32le } from '@blockbraid/wire'
import { Fes, PduFlag } from '../pdu/types.ts'
import type { OpenR2T, Request } from '../request/request.ts'

/** What is wrong with a PDU: fatal error status and information, and words. */
export interface PduFault {
  readonly fes: number
  readonly info: number
  readonly reason: string
}

/** The R2T that an H2CData for `request` belongs to, if it is one. */
export function openR2T(request: Request | null): OpenR2T | undefined {
  return request === null || request.begun || request.openR2ts === 0 ? undefined : request.r2ts[0]
}

/** What is wrong with the H2CData at `at`, which has `length` bytes (TCP transport 1.1 §3.6.2.7); undefined where nothing is. */
export function dataFault(
  request: Request | null,
  r2t: OpenR2T | undefined,
  bytes: Buffer,
  at: number,
  length: number,
): PduFault | undefined {
  if (request === null || request.begun) {
    return wrong(Fes.invalidHeader, 8, `H2CData for CID ${get16le(bytes, at + 8)}, which waits for none`)
  }
  const tag = get16le(bytes, at + 10)
  if (r2t === undefined || r2t.tag !== tag) {
    return wrong(Fes.invalidHeader, 10, `H2CData with TTAG ${tag}, which is not that of the R2T that comes next`)
  }
  if (get32le(bytes, at + 16) !== length) return wrong(Fes.invalidHeader, 16, `DATAL is not ${length}, as PLEN says`)
  const [offset, due] = [get32le(bytes, at + 12), r2t.offset + r2t.received]
  if (offset !== due) return wrong(Fes.outOfRange, 0, `DATAO ${offset}; it must be ${due}`)
  const left = r2t.length - r2t.received
  if (length > left) return wrong(Fes.outOfRange, 0, `${length} bytes of data, where ${left} are left of the R2T`)
  const last = (bytes[at + 1]! & PduFlag.last) !== 0
  if (last !== (length === left)) return wrong(Fes.invalidHeader, 1, 'LAST_PDU is not where the R2T ends')
  return undefined
}

function wrong(fes: number, info: number, reason: string): PduFault {
  return { fes, info, reason }
}
