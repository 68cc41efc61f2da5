import { createRandom } from '@blockbraid/testkit'
import { expect, test } from 'vitest'
import type { Agreed } from '../../src/pdu/agreed.ts'
import type { Fault } from '../../src/pdu/fault.ts'
import { PduParser, type PduSink } from '../../src/pdu/parser.ts'
import { dataIn, type Framing, icResp, r2t, response, termReq } from '../support/controller-pdus.ts'

/** Keeps what a parser says. */
class Recorder implements PduSink {
  readonly seen: string[] = []
  readonly faults: Fault[] = []
  readonly inError: Buffer[] = []
  agreed: Agreed = { headerDigest: false, dataDigest: false, align: 4, maxH2cData: 4096 }
  parser: PduParser | undefined
  #data: Buffer[] = []

  icResp(bytes: Buffer, at: number): void {
    this.seen.push(`agreed ${bytes.toString('hex', at, at + 16)}`)
    this.parser?.use(this.agreed)
  }

  response(bytes: Buffer, at: number): void {
    this.seen.push(`response ${bytes.toString('hex', at, at + 24)}`)
  }

  readyToTransfer(bytes: Buffer, at: number): void {
    this.seen.push(`ready ${bytes.toString('hex', at, at + 24)}`)
  }

  dataHeader(bytes: Buffer, at: number, length: number): void {
    this.seen.push(`data ${length} ${bytes.toString('hex', at, at + 24)}`)
    this.#data = []
  }

  data(bytes: Buffer, start: number, end: number): void {
    this.#data.push(Buffer.from(bytes.subarray(start, end)))
  }

  dataEnd(right: boolean): void {
    this.seen.push(`end ${right} ${Buffer.concat(this.#data).toString('hex')}`)
  }

  termReq(fes: number, fei: number): void {
    this.seen.push(`over ${fes} ${fei}`)
  }

  broken(fault: Fault, header: Buffer): void {
    this.faults.push(fault)
    this.inError.push(Buffer.from(header))
  }
}

function parse(pieces: readonly Buffer[], framing: Framing = {}): Recorder {
  const recorder = new Recorder()
  const { headerDigest = false, dataDigest = false, align = 4 } = framing
  recorder.agreed = { headerDigest, dataDigest, align: 4, maxH2cData: 4096 }
  const parser = new PduParser(recorder, align)
  recorder.parser = parser
  parser.maxData = 1000
  for (const piece of pieces) parser.push(piece, 0, piece.length)
  return recorder
}

const FRAMINGS: Framing[] = [
  {},
  { headerDigest: true },
  { dataDigest: true },
  { headerDigest: true, dataDigest: true, align: 128 },
]

function stream(framing: Framing): Buffer {
  return Buffer.concat([
    icResp(),
    dataIn({ cid: 3 }, Buffer.from('thirteen byte'), framing),
    response({ cid: 4, result: 0x8000_0001 }, framing),
    dataIn({ cid: 5, offset: 64, flags: 12 }, Buffer.alloc(64, 7), framing),
    r2t({ cid: 6, tag: 9, length: 4096 }, framing),
    dataIn({ cid: 7, flags: 0 }, Buffer.alloc(1, 1), framing),
    response({ cid: 7 }, framing),
    termReq(1, 4),
  ])
}

test.each(FRAMINGS)('a stream cut at every offset says the same, framed as %o', (framing) => {
  const bytes = stream(framing)
  const whole = parse([bytes], framing)
  expect(whole.faults).toEqual([])
  expect(whole.seen.length).toBe(11)
  for (let cut = 0; cut <= bytes.length; cut++) {
    const { seen, faults } = parse([bytes.subarray(0, cut), bytes.subarray(cut)], framing)
    expect(faults).toEqual([])
    expect(seen, `cut at ${cut}`).toEqual(whole.seen)
  }
})

test.each(FRAMINGS)('a stream that comes byte by byte says the same, framed as %o', (framing) => {
  const bytes = stream(framing)
  const { seen } = parse(
    Array.from(bytes, (_, at) => bytes.subarray(at, at + 1)),
    framing,
  )
  expect(seen).toEqual(parse([bytes], framing).seen)
})

test('with digests, every bit that is turned is found', () => {
  const framing = { headerDigest: true, dataDigest: true }
  const bytes = Buffer.concat([
    dataIn({ cid: 5, flags: 12 }, Buffer.alloc(24, 7), framing),
    r2t({ cid: 6, length: 4096 }, framing),
    response({ cid: 7 }, framing),
  ])
  const { seen } = parse([icResp(), bytes], framing)
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const wrong = Buffer.from(bytes)
    wrong[bit >> 3] = (wrong[bit >> 3] as number) ^ (1 << (bit & 7))
    const got = parse([icResp(), wrong], framing)
    // Data is said before its digest has come: what it is worth is said behind it. A termination request has no digest.
    const damaged = got.seen.findIndex((said) => said.startsWith('end false') || said.startsWith('over'))
    const right = damaged === -1 ? got.seen : got.seen.slice(0, damaged)
    expect(got.faults.length + (damaged === -1 ? 0 : 1), `bit ${bit}`).toBeGreaterThan(0)
    expect(right, `bit ${bit}`).toEqual(seen.slice(0, right.length))
  }
})

const HEADER = Buffer.alloc(24)

test.each<[string, Buffer, Framing, number, number, string]>([
  ['an unknown type', Buffer.from('2a00180018000000', 'hex'), {}, 1, 0, 'a PDU of type 2ah, which no controller sends'],
  [
    'a PDU of the host',
    Buffer.from('0400480048000000', 'hex'),
    {},
    1,
    0,
    'a PDU of type 04h, which no controller sends',
  ],
  ['a second ICResp', icResp(), {}, 2, 0, 'ICResp after the connection was agreed on'],
  [
    'a PDU of 4 GiB',
    dataIn({ cid: 1 }, HEADER, {}, { plen: 0xffff_ffff }).subarray(0, 8),
    {},
    1,
    4,
    'C2HData with PLEN 4294967295; no command has more than 1000 bytes',
  ],
  ['a completion of 4 GiB', Buffer.from('05001800ffffffff', 'hex'), {}, 1, 4, 'CapsuleResp with PLEN 4294967295'],
  ['an R2T that is too short', Buffer.from('0900180017000000', 'hex'), {}, 1, 4, 'R2T with PLEN 23'],
  ['a length of 0', Buffer.from('0500180000000000', 'hex'), {}, 1, 4, 'CapsuleResp with PLEN 0'],
  ['HLEN of another PDU', Buffer.from('0500480018000000', 'hex'), {}, 1, 2, 'CapsuleResp with HLEN 72'],
  ['PDO in the header', dataIn({ cid: 1 }, HEADER, {}, { pdo: 20 }), {}, 1, 3, 'C2HData with PDO 20, and not 24'],
  ['PDO behind the data', dataIn({ cid: 1 }, HEADER, {}, { pdo: 48 }), {}, 1, 3, 'C2HData with PDO 48, and not 24'],
  ['no PDO', dataIn({ cid: 1 }, HEADER, {}, { pdo: 0 }), {}, 1, 3, 'C2HData with PDO 0, and not 24'],
  [
    'data that PLEN does not hold',
    dataIn({ cid: 1, length: 25 }, HEADER),
    {},
    1,
    4,
    'C2HData of 25 bytes with PLEN 48',
  ],
  [
    'data of 4 GiB in a short PDU',
    dataIn({ cid: 1, length: 0xffff_ffff }, HEADER),
    {},
    1,
    4,
    'C2HData of 4294967295 bytes with PLEN 48',
  ],
  ['data of no bytes', dataIn({ cid: 1, length: 0 }, HEADER), {}, 1, 4, 'C2HData of 0 bytes with PLEN 48'],
  [
    'a header digest flag that was cleared',
    response({ cid: 1 }),
    { headerDigest: true },
    1,
    1,
    'CapsuleResp without the header digest that was agreed on',
  ],
  [
    'a header digest that was not agreed on',
    response({ cid: 1 }, { headerDigest: true }),
    {},
    1,
    1,
    'CapsuleResp with a header digest',
  ],
  [
    'a data digest flag that was cleared',
    dataIn({ cid: 1 }, HEADER),
    { dataDigest: true },
    1,
    1,
    'C2HData without the data digest that was agreed on',
  ],
  [
    'a data digest that was not agreed on',
    dataIn({ cid: 1 }, HEADER, { dataDigest: true }),
    {},
    1,
    1,
    'C2HData with a data digest',
  ],
  ['C2HTermReq with HLEN 8', Buffer.from('0300080018000000', 'hex'), {}, 1, 2, 'a C2HTermReq with HLEN 8'],
  ['C2HTermReq that is too short', termReq(1, 0, Buffer.alloc(0), 23), {}, 1, 4, 'a C2HTermReq with PLEN 23'],
  ['C2HTermReq that is too long', termReq(1, 0, Buffer.alloc(0), 153), {}, 1, 4, 'a C2HTermReq with PLEN 153'],
  ['C2HTermReq of 4 GiB', termReq(1, 0, Buffer.alloc(0), 0xffff_ffff), {}, 1, 4, 'a C2HTermReq with PLEN 4294967295'],
])(
  '%s breaks the stream as soon as it is there, and nothing behind it is said',
  (_, bytes, framing, fes, fei, reason) => {
    const { seen, faults, inError } = parse([icResp(), bytes, response({ cid: 1 }, framing)], framing)
    expect(faults).toEqual([{ fes, fei, reason }])
    expect(inError[0]).toEqual(bytes.subarray(0, inError[0]?.length))
    expect(seen.length).toBe(1)
  },
)

test('a wrong header digest is told of with the digest', () => {
  const bytes = response({ cid: 1 }, { headerDigest: true })
  bytes.writeUInt32LE(0x1234_5678, 24)
  const { faults } = parse([icResp(), bytes], { headerDigest: true })
  expect(faults).toEqual([{ fes: 3, fei: 0x1234_5678, reason: 'CapsuleResp with a wrong header digest' }])
})

test.each([
  ['a completion', response({ cid: 1 }), 'CapsuleResp in place of ICResp'],
  ['data', dataIn({ cid: 1 }, HEADER), 'C2HData in place of ICResp'],
])('%s in place of ICResp breaks the stream', (_, bytes, reason) => {
  expect(parse([bytes]).faults).toEqual([{ fes: 2, fei: 0, reason }])
})

test('an ICResp of another length breaks the stream', () => {
  const long = icResp()
  long.writeUInt32LE(0xffff_fff0, 4)
  expect(parse([long]).faults.map(({ reason }) => reason)).toEqual(['an ICResp with PLEN 4294967280'])
})

test('after stop nothing more is said, also from inside of a call', () => {
  const recorder = new Recorder()
  const parser = new PduParser(recorder, 4)
  recorder.parser = parser
  recorder.response = () => {
    recorder.seen.push('stopped')
    parser.stop()
  }
  const bytes = Buffer.concat([icResp(), response({ cid: 1 }), response({ cid: 2 })])
  parser.push(bytes, 0, bytes.length)
  parser.push(bytes, 0, bytes.length)
  expect(recorder.seen.slice(1)).toEqual(['stopped'])
})

test('random bytes are parsed without an exception', () => {
  const seed = Math.floor(Math.random() * 2 ** 32)
  const random = createRandom(seed)
  for (let round = 0; round < 20_000; round++) {
    const bytes = Buffer.from(Array.from({ length: 1 + Math.floor(random() * 64) }, () => Math.floor(random() * 256)))
    bytes[0] = Math.floor(random() * 12)
    if (random() < 0.5) bytes[2] = 24
    expect(() => parse([icResp(), bytes], { headerDigest: random() < 0.5 }), `seed ${seed}`).not.toThrow()
  }
})
