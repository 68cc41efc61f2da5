import { get32 } from '@blockbraid/wire'

/** Reads a LUN: peripheral, flat or extended flat addressing (SAM-5 §4.7); -1 for any other. */
export function readLun(high: number, low: number): number {
  if (low !== 0) return -1
  const method = high >>> 30
  if (method === 0 && (high & 0xff00_ffff) === 0) return high >>> 16
  if (method === 1 && (high & 0xffff) === 0) return (high >>> 16) & 0x3fff
  if (high >>> 24 === 0xd2) return high & 0xff_ffff
  return -1
}

/** First four bytes of a LUN on the wire; the others are zero. */
export function lunWord(lun: number): number {
  if (lun < 256) return lun << 16
  if (lun < 16_384) return ((0x4000 | lun) << 16) >>> 0
  return (0xd200_0000 | lun) >>> 0
}

/** Reads the LUN field of a PDU. */
export function lunOfPdu(bytes: Uint8Array, at: number): number {
  return readLun(get32(bytes, at + 8), get32(bytes, at + 12))
}
