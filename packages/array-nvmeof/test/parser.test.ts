import { describe, expect, it } from 'vitest'
import type { PduSink } from '../src/pdu/parser.ts'
import { PduParser } from '../src/pdu/parser.ts'
import { crcOf } from './host.ts'

/** Writes down what a parser finds. */
class Found implements PduSink {
  readonly seen: string[] = []
  #data: Buffer[] = []

  pduHeader(bytes: Buffer, at: number, length: number): boolean {
    this.seen.push(`header ${bytes.toString('hex', at, at + bytes[at + 2]!)} ${length}`)
    this.#data = []
    return true
  }

  pduData(view: Buffer): void {
    this.#data.push(Buffer.from(view))
  }

  pduEnd(intact: boolean): void {
    this.seen.push(`end ${Buffer.concat(this.#data).toString('hex')} ${intact}`)
  }

  broken(fes: number, info: number, reason: string): void {
    this.seen.push(`broken ${fes} ${info} ${reason}`)
  }
}

function digest(bytes: Buffer): Buffer {
  const four = Buffer.alloc(4)
  four.writeUInt32LE(crcOf(bytes))
  return four
}

/** A PDU with digests and padding. */
function pduOf(type: number, hlen: number, data: Buffer, digests: boolean, alignment: number, seed: number): Buffer {
  const header = Buffer.alloc(hlen, seed)
  const size = hlen + (digests ? 4 : 0)
  const pdo = data.length === 0 ? 0 : Math.ceil(size / alignment) * alignment
  const digested = digests && data.length > 0
  header.set([type, (digests ? 1 : 0) | (digested ? 2 : 0), hlen, pdo])
  header.writeUInt32LE((data.length === 0 ? size : pdo + data.length) + (digested ? 4 : 0), 4)
  return Buffer.concat([
    header,
    digests ? digest(header) : Buffer.alloc(0),
    Buffer.alloc(data.length === 0 ? 0 : pdo - size),
    data,
    digested ? digest(data) : Buffer.alloc(0),
  ])
}

function parser(found: Found, digests: boolean, alignment: number): PduParser {
  const made = new PduParser(found)
  Object.assign(made, { initialized: true, headerDigest: digests, dataDigest: digests, alignment })
  Object.assign(made, { maxInCapsule: 8192, maxH2CData: 8192 })
  return made
}

describe('the parser', () => {
  it.each([
    { digests: false, alignment: 4 },
    { digests: true, alignment: 4 },
    { digests: true, alignment: 128 },
    { digests: false, alignment: 12 },
  ])('finds the same wherever its input is cut: %o', ({ digests, alignment }) => {
    const stream = Buffer.concat([
      pduOf(4, 72, Buffer.alloc(0), digests, alignment, 1),
      pduOf(4, 72, Buffer.alloc(37, 0xa1), digests, alignment, 2),
      pduOf(6, 24, Buffer.alloc(130, 0xa2), digests, alignment, 3),
      pduOf(4, 72, Buffer.alloc(0), digests, alignment, 4),
    ])
    const whole = new Found()
    parser(whole, digests, alignment).push(stream, 0, stream.length)
    expect(whole.seen.length).toBe(8)
    expect(whole.seen.filter((line) => line.endsWith('true')).length).toBe(4)
    for (let first = 0; first <= stream.length; first++) {
      const found = new Found()
      const made = parser(found, digests, alignment)
      made.push(stream, 0, first)
      made.push(stream, first, stream.length)
      expect(found.seen).toEqual(whole.seen)
    }
    const bytewise = new Found()
    const made = parser(bytewise, digests, alignment)
    for (let at = 0; at < stream.length; at++) made.push(stream, at, at + 1)
    expect(bytewise.seen).toEqual(whole.seen)
  })

  it('survives a hundred thousand damaged PDUs, and is silent after the first that makes no sense', () => {
    let seed = 12_345
    const random = (below: number): number => {
      seed = (Math.imul(seed, 1_103_515_245) + 12_345) & 0x7fff_ffff
      return (seed >>> 8) % below
    }
    let broken = 0
    for (let run = 0; run < 25_000; run++) {
      const digests = run % 2 === 0
      const found = new Found()
      const made = parser(found, digests, 4)
      const stream = Buffer.concat(
        [0, 1, 2, 3].map((n) =>
          pduOf(n % 2 === 0 ? 4 : 6, n % 2 === 0 ? 72 : 24, Buffer.alloc(n * 3 + 4, n), digests, 4, run & 0xff),
        ),
      )
      for (let flips = 1 + random(4); flips > 0; flips--) stream[random(stream.length)] = random(256)
      const cut = random(stream.length)
      made.push(stream, 0, cut)
      made.push(stream, cut, stream.length)
      const at = found.seen.findIndex((line) => line.startsWith('broken'))
      if (at === -1) continue
      broken++
      expect(at).toBe(found.seen.length - 1)
    }
    expect(broken).toBeGreaterThan(1000)
  })
})
