import type { Host } from '@blockbraid/core'
import { crc32c, get32, put32, put32le } from '@blockbraid/wire'
import { BHS, PduOpcode } from '../pdu/opcodes.ts'
import type { Output } from '../pdu/output.ts'

/** Whether a PDU carries a StatSN of its own. */
function numbered(pdu: Uint8Array): boolean {
  const opcode = pdu[0]! & 0x3f
  if (opcode === PduOpcode.dataIn) return (pdu[1]! & 1) !== 0
  return opcode !== PduOpcode.r2t && opcode !== PduOpcode.nopIn
}

/**
 * Sends PDUs of different tasks in an order drawn from the host's randomness; those of one task stay in
 * theirs. StatSNs are dealt out again, as they count in the order on the wire.
 */
export class Shuffle {
  readonly #out: Output
  readonly #host: Host
  #kept: Buffer[] = []

  constructor(out: Output, host: Host) {
    this.#out = out
    this.#host = host
  }

  /** A PDU that is not to be moved; none may overtake it that was sent before. */
  pass(pdu: Buffer): void {
    if (this.#kept.length > 0 && numbered(pdu)) this.#kept.push(pdu)
    else this.#out.raw(pdu)
  }

  /** Keeps a PDU for so many ms with those that follow. */
  keep(pdu: Buffer, milliseconds: number): void {
    this.#kept.push(pdu)
    if (this.#kept.length === 1) this.#host.clock.after(milliseconds, this.#release)
  }

  readonly #release = (): void => {
    const kept = this.#kept
    this.#kept = []
    const numbers = kept.filter(numbered).map((pdu) => get32(pdu, 24))
    const tasks = new Map<number, Buffer[]>()
    for (const pdu of kept) {
      const tag = get32(pdu, 16)
      const others = tasks.get(tag)
      if (others === undefined) tasks.set(tag, [pdu])
      else others.push(pdu)
    }
    const queues = [...tasks.values()]
    while (queues.length > 0) {
      const at = Math.floor(this.#host.random() * queues.length)
      const queue = queues[at]!
      const pdu = queue.shift()!
      if (queue.length === 0) queues.splice(at, 1)
      if (numbered(pdu)) {
        put32(pdu, 24, numbers.shift()!)
        if (this.#out.headerDigest) put32le(pdu, BHS, crc32c(pdu, 0, 0, BHS))
      }
      this.#out.raw(pdu)
    }
  }
}
