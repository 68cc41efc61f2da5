import { createRandom } from '@blockbraid/testkit'
import { crc32c } from '@blockbraid/wire'
import { expect, test } from 'vitest'
import { HEADER_LENGTH, padding } from '../../src/pdu/opcode.ts'
import { DataMode, PduParser, type PduSink } from '../../src/pdu/parser.ts'

interface Seen {
  header: string
  data: string
}

/** Keeps what a parser says; opcode 0x25 is streamed, others are collected. */
class Recorder implements PduSink {
  readonly seen: Seen[] = []
  readonly faults: string[] = []
  #header = ''
  #data: Buffer[] = []

  header(bytes: Buffer, at: number): DataMode {
    this.#header = bytes.toString('hex', at, at + HEADER_LENGTH)
    this.#data = []
    return ((bytes[at] as number) & 0x3f) === 0x25 ? DataMode.Stream : DataMode.Collect
  }

  data(bytes: Buffer, start: number, end: number): void {
    this.#data.push(Buffer.from(bytes.subarray(start, end)))
  }

  end(): void {
    this.seen.push({ header: this.#header, data: Buffer.concat(this.#data).toString('hex') })
  }

  whole(header: Buffer, data: Buffer): void {
    this.seen.push({ header: header.toString('hex'), data: data.toString('hex') })
  }

  broken(reason: string): void {
    this.faults.push(reason)
  }
}

function digest(bytes: Uint8Array): Buffer {
  const out = Buffer.alloc(4)
  out.writeUInt32LE(crc32c(bytes))
  return out
}

function encode(opcode: number, ahs: Buffer, data: Buffer, digests: boolean): { bytes: Buffer; seen: Seen } {
  const header = Buffer.alloc(HEADER_LENGTH, opcode + 3)
  header[0] = opcode
  header.writeUInt32BE(data.length, 4)
  header[4] = ahs.length / 4
  const padded = Buffer.concat([data, Buffer.alloc(padding(data.length))])
  const bytes = Buffer.concat([
    header,
    ahs,
    ...(digests ? [digest(Buffer.concat([header, ahs]))] : []),
    padded,
    ...(digests && data.length > 0 ? [digest(padded)] : []),
  ])
  return { bytes, seen: { header: header.toString('hex'), data: data.toString('hex') } }
}

function stream(digests: boolean) {
  const pdus = [
    encode(0x25, Buffer.alloc(0), Buffer.from('thirteen byte'), digests),
    encode(0x21, Buffer.alloc(0), Buffer.alloc(0), digests),
    encode(0x25, Buffer.alloc(8, 9), Buffer.alloc(64, 7), digests),
    encode(0x3f, Buffer.alloc(4, 1), Buffer.alloc(48, 5), digests),
    encode(0x25, Buffer.alloc(0), Buffer.alloc(0), digests),
    encode(0x32, Buffer.alloc(0), Buffer.alloc(1, 5), digests),
  ]
  return { bytes: Buffer.concat(pdus.map(({ bytes }) => bytes)), seen: pdus.map(({ seen }) => seen) }
}

test.each([false, true])('a stream cut at every offset gives the same PDUs (digests: %s)', (digests) => {
  const { bytes, seen } = stream(digests)
  for (let cut = 0; cut <= bytes.length; cut++) {
    const recorder = new Recorder()
    const parser = new PduParser(recorder, 1000)
    parser.useDigests(digests, digests)
    parser.push(bytes, 0, cut)
    parser.push(bytes, cut, bytes.length)
    expect(recorder.faults).toEqual([])
    expect(recorder.seen, `cut at ${cut}`).toEqual(seen)
  }
})

test('a stream that comes byte by byte gives the same PDUs', () => {
  const { bytes, seen } = stream(true)
  const recorder = new Recorder()
  const parser = new PduParser(recorder, 1000)
  parser.useDigests(true, true)
  for (let at = 0; at < bytes.length; at++) parser.push(bytes, at, at + 1)
  expect(recorder.seen).toEqual(seen)
})

test('with digests, any flipped bit is found', () => {
  const { bytes, seen } = stream(true)
  for (let bit = 0; bit < bytes.length * 8; bit++) {
    const wrong = Buffer.from(bytes)
    wrong[bit >> 3] = (wrong[bit >> 3] as number) ^ (1 << (bit & 7))
    const recorder = new Recorder()
    const parser = new PduParser(recorder, 0xff_ffff)
    parser.useDigests(true, true)
    parser.push(wrong, 0, wrong.length)
    expect(recorder.seen, `bit ${bit}`).not.toEqual(seen)
    expect(recorder.seen, `bit ${bit}`).toEqual(seen.slice(0, recorder.seen.length))
  }
})

test('a data segment above the limit breaks the stream as soon as its header is there', () => {
  const recorder = new Recorder()
  const parser = new PduParser(recorder, 8192)
  const header = Buffer.alloc(HEADER_LENGTH)
  header[0] = 0x25
  header.writeUIntBE(8193, 5, 3)
  parser.push(header, 0, header.length)
  expect(recorder.faults).toEqual(['a data segment of 8193 bytes; 8192 are the limit'])
  parser.push(encode(0x21, Buffer.alloc(0), Buffer.alloc(0), false).bytes, 0, HEADER_LENGTH)
  expect(recorder.seen).toEqual([])
})

test('after stop nothing more is said, also from inside of a call', () => {
  const recorder = new Recorder()
  const parser = new PduParser(recorder, 1000)
  recorder.whole = () => parser.stop()
  const { bytes } = stream(false)
  parser.push(bytes, 0, bytes.length)
  expect(recorder.seen.length).toBe(1)
})

test('random bytes are parsed without an exception, and what is said fits the bytes', () => {
  const seed = Math.floor(Math.random() * 2 ** 32)
  const random = createRandom(seed)
  for (let round = 0; round < 300; round++) {
    const recorder = new Recorder()
    const parser = new PduParser(recorder, 1 << Math.floor(random() * 20))
    parser.useDigests(random() < 0.2, random() < 0.2)
    let total = 0
    for (let piece = 0; piece < 20; piece++) {
      const bytes = Buffer.alloc(Math.floor(random() * 4000))
      for (let at = 0; at < bytes.length; at++) bytes[at] = random() < 0.7 ? 0 : random() * 256
      total += bytes.length
      parser.push(bytes, 0, bytes.length)
    }
    expect(recorder.faults.length, `seed ${seed}`).toBeLessThanOrEqual(1)
    const said = recorder.seen.reduce((sum, { data }) => sum + HEADER_LENGTH + data.length / 2, 0)
    expect(said, `seed ${seed}`).toBeLessThanOrEqual(total)
  }
})
