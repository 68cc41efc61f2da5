import { describe, expect, it } from 'vitest'
import { createRandom, randomInt } from '../src/index.ts'
import { Command } from '../src/nbd/protocol.ts'
import { ReplyParser } from '../src/nbd/reply-parser.ts'
import { NbdRequest } from '../src/nbd/request.ts'

interface Harness {
  parser: ReplyParser
  requests: NbdRequest[]
  ended: number[]
  broken: string[]
}

/** A parser with requests in flight: reads of 16 bytes at 4096 into views of 5 and 11, a block status, a write. */
function harness(chunked: boolean): Harness {
  const ended: number[] = []
  const broken: string[] = []
  const requests = [0, 1, 2, 3].map((slot) => new NbdRequest(slot))
  const commands = [Command.read, Command.read, Command.blockStatus, Command.write]
  for (const [slot, request] of requests.entries()) {
    request.begin(commands[slot]!, 4096, slot < 2 ? 16 : 8192)
    if (slot < 2) request.views = [Buffer.alloc(5), Buffer.alloc(11)]
  }
  const sink = {
    find: (slot: number, generation: number) => {
      const request = requests[slot]
      return request?.busy === true && request.generation === generation ? request : undefined
    },
    ended(request: NbdRequest) {
      request.busy = false
      ended.push(request.slot)
    },
    broken: (reason: string) => void broken.push(reason),
  }
  return { parser: new ReplyParser(sink, chunked, 9), requests, ended, broken }
}

const hex = (...parts: string[]): Buffer => Buffer.from(parts.join('').replaceAll(' ', ''), 'hex')
const cookie = (slot: number): string => `00000001 0000000${slot}`
const text = '30313233 34353637 38396162 63646566'

const simple = (slot: number, error = '00000000'): string => `67446698 ${error} ${cookie(slot)}`
const chunk = (slot: number, flags: string, type: string, length: string): string =>
  `668e33ef ${flags} ${type} ${cookie(slot)} ${length}`
const wideChunk = (slot: number, flags: string, type: string, length: string): string =>
  `6e8a278c ${flags} ${type} ${cookie(slot)} 00000000 00001000 00000000 ${length}`

const vectors = {
  simple: {
    chunked: false,
    bytes: hex(simple(3), simple(0), text, simple(1, '0000001c'), simple(2, '00000063')),
    ended: [3, 0, 1, 2],
    errnos: [0, 28, 22, 0],
  },
  structured: {
    chunked: true,
    bytes: hex(
      chunk(3, '0001', '0000', '00000000'),
      // The second half first, then the first half: 10 bytes of data, and a hole of 6 before it.
      chunk(0, '0000', '0001', '00000012'),
      '00000000 00001006 36373839 61626364 6566',
      chunk(2, '0001', '0005', '00000014'),
      '00000009 00001000 00000003 00001000 00000000',
      chunk(0, '0001', '0002', '0000000c'),
      '00000000 00001000 00000006',
      chunk(1, '0000', '8002', '00000011'),
      '00000005 0003 626164 00000000 00001000',
      chunk(1, '0001', '0000', '00000000'),
    ),
    ended: [3, 2, 0, 1],
    errnos: [0, 5, 0, 0],
  },
  extended: {
    chunked: true,
    bytes: hex(
      wideChunk(2, '0001', '0006', '00000028'),
      '00000009 00000002 00000000 00001000 00000000 00000003 00000001 00000000 00000000 00000000',
      wideChunk(0, '0001', '0001', '00000018'),
      '00000000 00001000',
      text,
      wideChunk(3, '0001', '8001', '00000006'),
      '0000001c 0000',
    ),
    ended: [2, 0, 3],
    errnos: [0, 0, 0, 28],
  },
}

const contents = (request: NbdRequest): string => Buffer.concat([...request.views]).toString('latin1')

describe.each(Object.entries(vectors))('%s replies', (name, { chunked, bytes, ended, errnos }) => {
  const verify = (h: Harness, what: string): void => {
    expect(h.broken, what).toEqual([])
    expect(h.ended, what).toEqual(ended)
    expect(
      h.requests.map(({ errno }) => errno),
      what,
    ).toEqual(errnos)
    const read = name === 'structured' ? '\0\0\0\0\0\x006789abcdef' : '0123456789abcdef'
    expect(contents(h.requests[0]!), what).toBe(read)
    if (name === 'structured') {
      expect(h.requests[2]!.extents).toEqual([
        { length: 4096, hole: true, zero: true },
        { length: 4096, hole: false, zero: false },
      ])
    }
    if (name === 'extended') {
      expect(h.requests[2]!.extents[1]).toEqual({ length: 2 ** 32, hole: false, zero: false })
    }
  }

  it('are read from one chunk', () => {
    const h = harness(chunked)
    h.parser.push(bytes)
    verify(h, 'whole')
  })

  it('are read when cut at every offset, and byte by byte', () => {
    for (let cut = 1; cut < bytes.length; cut++) {
      const h = harness(chunked)
      h.parser.push(bytes.subarray(0, cut))
      h.parser.push(bytes.subarray(cut))
      verify(h, `cut at ${cut}`)
    }
    const h = harness(chunked)
    for (const byte of bytes) h.parser.push(Buffer.from([byte]))
    verify(h, 'byte by byte')
  })

  it('never throw or end a request twice when they are spoilt', () => {
    for (let seed = 1; seed <= 3000; seed++) {
      const random = createRandom(seed)
      const spoilt = Buffer.from(bytes)
      const flips = 1 + randomInt(random, 4)
      for (let i = 0; i < flips; i++) spoilt[randomInt(random, spoilt.length)] = randomInt(random, 256)
      const h = harness(chunked)
      for (let at = 0; at < spoilt.length; ) {
        const end = at + 1 + randomInt(random, 40)
        try {
          h.parser.push(spoilt.subarray(at, end))
        } catch (error) {
          expect.fail(`seed ${seed}: ${String(error)}`)
        }
        at = end
      }
      const once = new Set(h.ended).size === h.ended.length && h.broken.length < 2
      if (!once) expect.fail(`seed ${seed}: ended ${h.ended.join()}, broken ${h.broken.join()}`)
    }
  })
})

describe('replies that break the protocol', () => {
  const bad: [string, boolean, string][] = [
    ['a magic that is none', true, '12345678 00000000 00000000 00000000'],
    ['chunks that were not agreed on', false, chunk(0, '0001', '0000', '00000000')],
    ['a slot that does not exist', true, simple(7)],
    ['an old generation', true, '67446698 00000000 00000002 00000003'],
    ['a simple reply to a read', true, simple(0)],
    ['data past the end of the read', true, `${chunk(0, '0001', '0001', '00000018')} 00000000 00001001 ${text}`],
    ['data before the start of the read', true, `${chunk(0, '0001', '0001', '00000018')} 00000000 00000fff ${text}`],
    ['more data than was asked for', true, chunk(0, '0001', '0001', '00000019')],
    ['a data chunk without data', true, chunk(0, '0001', '0001', '00000008')],
    ['data for a write', true, chunk(3, '0001', '0001', '00000018')],
    ['too little data', true, `${chunk(0, '0001', '0001', '00000009')} 00000000 00001000 30`],
    ['a hole past the end', true, `${chunk(0, '0001', '0002', '0000000c')} 00000000 00001000 00000011`],
    ['a payload of 16 MiB', true, chunk(2, '0001', '0005', '01000000')],
    ['another context', true, `${chunk(2, '0001', '0005', '0000000c')} 00000008 00001000 00000000`],
    ['a misfit of descriptors', true, `${chunk(2, '0001', '0005', '0000000d')} 00000009 00001000 00000000 00`],
    ['an extent of no bytes', true, `${chunk(2, '0001', '0005', '0000000c')} 00000009 00000000 00000000`],
    ['an error chunk that is too short', true, `${chunk(0, '0001', '8001', '00000002')} 0000`],
    ['an unknown chunk', true, `${chunk(0, '0001', '0077', '00000001')} 00`],
  ]
  it.each(bad)('are refused: %s', (_name, chunked, bytes) => {
    const h = harness(chunked)
    h.parser.push(hex(bytes))
    expect(h.broken).toHaveLength(1)
    h.parser.push(hex(simple(3)))
    expect(h.ended).toEqual([])
    expect(h.broken).toHaveLength(1)
  })
})
