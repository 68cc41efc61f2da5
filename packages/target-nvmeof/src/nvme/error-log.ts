import { get16le, get32le, get64le } from '@blockbraid/wire'

/** Bytes of an entry of the error log. */
export const ERROR_ENTRY = 64

/** An entry of the error log (NVMe Base 2.1 §5.1.12.1.2). */
export interface ErrorEntry {
  /** Counts errors over the life of the controller; above 2 ** 53 it is rounded. */
  readonly count: number
  /** Queue of the command; FFFFh: of none. */
  readonly queue: number
  /** CID of the command; FFFFh: of none. */
  readonly cid: number
  /** Its status, without the phase. */
  readonly status: number
  /** Byte of the command that is wrong; undefined where not told. */
  readonly byte: number | undefined
  /** Bit of that byte. */
  readonly bit: number | undefined
  /** First block that was concerned. */
  readonly lba: number
  /** Namespace of the command. */
  readonly nsid: number
  /** Opcode of the command, where told (NVMe Base 2.0 and later). */
  readonly opcode: number
}

/** Decodes the error log: the entries that came whole and are in use, the newest first. */
export function decodeErrorLog(bytes: Uint8Array): ErrorEntry[] {
  const entries: ErrorEntry[] = []
  for (let at = 0; at + ERROR_ENTRY <= bytes.length; at += ERROR_ENTRY) {
    const count = get64le(bytes, at)
    if (count === 0) continue
    const location = get16le(bytes, at + 14)
    const told = location !== 0xffff
    entries.push({
      count,
      queue: get16le(bytes, at + 8),
      cid: get16le(bytes, at + 10),
      status: get16le(bytes, at + 12) >>> 1,
      byte: told ? location & 0xff : undefined,
      bit: told ? (location >>> 8) & 7 : undefined,
      lba: get64le(bytes, at + 16),
      nsid: get32le(bytes, at + 24),
      opcode: bytes[at + 31]!,
    })
  }
  return entries
}
