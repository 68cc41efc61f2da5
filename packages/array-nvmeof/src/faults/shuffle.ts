import type { Host } from '@blockbraid/core'
import { get16le } from '@blockbraid/wire'
import { PduType } from '../pdu/types.ts'

/** Where PDUs go that are sent. */
interface Output {
  raw(pdu: Uint8Array): void
}

/** CID of a PDU that the array sends; -1: it has none. */
function cidOf(pdu: Buffer): number {
  if (pdu[0] === PduType.response) return get16le(pdu, 20)
  return pdu[0] === PduType.c2hData || pdu[0] === PduType.r2t ? get16le(pdu, 8) : -1
}

/** Sends PDUs of different commands in an order drawn from the host's randomness; those of one command stay in theirs. */
export class Shuffle {
  readonly #out: Output
  readonly #host: Host
  #kept: Buffer[] = []

  constructor(out: Output, host: Host) {
    this.#out = out
    this.#host = host
  }

  /** A PDU that is not to be moved; it overtakes none of its command. */
  pass(pdu: Buffer): void {
    const cid = cidOf(pdu)
    if (this.#kept.some((kept) => cidOf(kept) === cid)) this.#kept.push(pdu)
    else this.#out.raw(pdu)
  }

  /** Keeps a PDU for so many ms with those that follow. */
  keep(pdu: Buffer, milliseconds: number): void {
    this.#kept.push(pdu)
    if (this.#kept.length === 1) this.#host.clock.after(milliseconds, this.#release)
  }

  readonly #release = (): void => {
    const waiting = new Map<number, Buffer[]>()
    for (const pdu of this.#kept) waiting.set(cidOf(pdu), [...(waiting.get(cidOf(pdu)) ?? []), pdu])
    this.#kept = []
    while (waiting.size > 0) {
      const cids = [...waiting.keys()]
      const cid = cids[Math.floor(this.#host.random() * cids.length)]!
      const pdus = waiting.get(cid)!
      this.#out.raw(pdus.shift()!)
      if (pdus.length === 0) waiting.delete(cid)
    }
  }
}
