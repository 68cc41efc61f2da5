/** PDUs of NVMe/TCP by name (TCP transport 1.1 §3.6): their types. */
export const PduType = {
  icReq: 0x00,
  icResp: 0x01,
  h2cTerm: 0x02,
  c2hTerm: 0x03,
  command: 0x04,
  response: 0x05,
  h2cData: 0x06,
  c2hData: 0x07,
  r2t: 0x09,
} as const
/** Name of a PDU: `icReq`, `h2cTerm`, `command` and `h2cData` come from hosts, the others from the array. @useDeclaredType */
export type PduName = keyof typeof PduType

/** Bits of FLAGS. */
export const PduFlag = { headerDigest: 0x01, dataDigest: 0x02, last: 0x04, success: 0x08 } as const

/** Bytes of the common header. */
export const COMMON_HEADER = 8
/** HLEN by type; 0: there is no such type. */
const lengths = Uint8Array.from([128, 128, 24, 24, 72, 24, 24, 24, 0, 24])
/** Longest header. */
export const LONGEST_HEADER = 128

/** HLEN of a type; 0: there is none. */
export function headerLength(type: number): number {
  return type < lengths.length ? lengths[type]! : 0
}

/** Whether PDUs of that type come from hosts. */
export function isIncoming(type: number): boolean {
  return (type & 1) === 0
}

const names = new Map<number, string>(Object.entries(PduType).map(([name, type]) => [type, name]))

/** Name of a type for messages. */
export function pduName(type: number): string {
  return names.get(type) ?? `a PDU of type ${type}`
}

/** Fatal error status of a TermReq (TCP transport 1.1 §3.6.2.3). */
export const Fes = {
  invalidHeader: 0x01,
  sequence: 0x02,
  headerDigest: 0x03,
  outOfRange: 0x04,
  limitExceeded: 0x05,
  unsupportedParameter: 0x06,
} as const
