import { get24, get32, put24, put32 } from '@blockbraid/wire'
import { BHS } from '../pdu/opcodes.ts'

/** What a PDU is replaced by. @inline */
type Replacement = (pdu: Buffer) => readonly Uint8Array[]

/** Changes the header of a copy. */
function changed(pdu: Buffer, change: (copy: Buffer) => void): readonly Uint8Array[] {
  const copy = Buffer.from(pdu)
  change(copy)
  return [copy]
}

/**
 * Replacements for rules of `faults.wire`, as a target would send that means harm or is broken. They do
 * not put digests right: use them without.
 */
export const hostile = {
  /** Any PDU: announces a data segment of 16 MiB - 1 bytes, of which little comes. */
  hugeSegment: ((pdu) => changed(pdu, (copy) => put24(copy, 5, 0xff_ffff))) as Replacement,
  /** r2t: asks for `bytes` more than the command has. */
  r2tBeyond:
    (bytes = 4096): Replacement =>
    (pdu) =>
      changed(pdu, (copy) => put32(copy, 44, get32(copy, 44) + bytes)),
  /** r2t: asks for data that begins behind the command's end. */
  r2tOutside:
    (offset = 0xffff_f000): Replacement =>
    (pdu) =>
      changed(pdu, (copy) => put32(copy, 40, offset)),
  /** dataIn: places its data behind what the command expects. */
  dataBeyond:
    (offset = 0x7fff_f000): Replacement =>
    (pdu) =>
      changed(pdu, (copy) => put32(copy, 40, offset)),
  /** Any PDU of a task: names a task that does not exist. */
  unknownTag:
    (tag = 0xdead_beef): Replacement =>
    (pdu) =>
      changed(pdu, (copy) => put32(copy, 16, tag)),
  /** Any PDU: sends it twice. */
  twice: ((pdu) => [pdu, Buffer.from(pdu)]) as Replacement,
  /** Any PDU: sends an opcode that does not exist. */
  unknownOpcode: ((pdu) =>
    changed(pdu, (copy) => {
      copy[0] = 0x2f
    })) as Replacement,
  /** Any PDU with data: says that it has one byte less than it has, so that all that follows is shifted. */
  shifted: ((pdu) => changed(pdu, (copy) => put24(copy, 5, Math.max(0, get24(copy, 5) - 4)))) as Replacement,
  /** Any PDU: sends these bytes instead. */
  garbage:
    (bytes: Uint8Array = Buffer.alloc(BHS, 0xff)): Replacement =>
    () => [bytes],
} as const
