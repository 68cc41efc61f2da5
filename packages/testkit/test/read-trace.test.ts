import type { MultipathDevice } from '@blockbraid/core'
import { openMultipath, userDevice } from '@blockbraid/core'
import { describe, expect, it } from 'vitest'
import type { TraceRecord } from '../src/index.ts'
import { createMinimalArray, createRandom, randomInt, readTrace, virtualHost } from '../src/index.ts'

/** A trace of a few reads and writes over two paths, one of which is taken out. */
async function record(): Promise<Uint8Array> {
  const host = virtualHost(1)
  const { target } = createMinimalArray(host, 1)
  const infos = await host.clock.runUntil(target.discover())
  const sources = infos.map((info) => ({ target, info }))
  const device: MultipathDevice = await host.clock.runUntil(openMultipath(infos[0]!.volume, sources, { host }))
  const chunks: Uint8Array[] = []
  device.trace({ write: (chunk) => chunks.push(chunk.slice()) > 0 }, { wall: 1_800_000_000_000 })
  const user = userDevice(device, host.clock)
  await host.clock.runUntil(user.write(4096, new Uint8Array(4096)))
  await host.clock.runUntil(device.failPath(infos[0]!.id))
  await host.clock.runUntil(user.read(4096, 4096))
  device.trace(undefined)
  return new Uint8Array(Buffer.concat(chunks))
}

const trace = await record()
const whole = [...readTrace(trace)]

/** Hands a trace on in pieces. */
async function* inPieces(bytes: Uint8Array, length: (at: number) => number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; ) {
    const end = Math.min(bytes.length, at + length(at))
    yield bytes.subarray(at, end)
    at = end
  }
}

async function collect(pieces: AsyncIterable<Uint8Array>): Promise<TraceRecord[]> {
  const records: TraceRecord[] = []
  for await (const record of readTrace(pieces)) records.push(record)
  return records
}

/** The records before the error, and the error's words. */
function readAll(bytes: Uint8Array): { records: TraceRecord[]; error: string } {
  const records: TraceRecord[] = []
  try {
    for (const record of readTrace(bytes)) records.push(record)
  } catch (error) {
    expect(error).toMatchObject({ name: 'BlockError', code: 'PROTOCOL' })
    return { records, error: (error as Error).message }
  }
  return { records, error: '' }
}

function changed(change: (bytes: Uint8Array, view: DataView) => void): Uint8Array {
  const bytes = trace.slice()
  change(bytes, new DataView(bytes.buffer))
  return bytes
}

describe('a trace', () => {
  it('reads as what happened', () => {
    expect(whole.map(({ kind }) => kind)).toEqual(expect.arrayContaining(['start', 'path', 'state', 'pick', 'done']))
    expect(whole[0]).toMatchObject({ kind: 'start', wall: 1_800_000_000_000 })
    expect(whole.at(-1)).toMatchObject({ kind: 'end' })
  })

  it('reads alike in pieces of any size', async () => {
    expect(await collect(inPieces(trace, () => 1))).toEqual(whole)
    const random = createRandom(7)
    for (let round = 0; round < 20; round++) {
      expect(await collect(inPieces(trace, () => 1 + randomInt(random, 100)))).toEqual(whole)
    }
  })

  it('that is cut off anywhere gives the records before, and says where it ends', () => {
    for (let end = 0; end < trace.length; end++) {
      const { records, error } = readAll(trace.subarray(0, end))
      expect(records).toEqual(whole.slice(0, records.length))
      // Between two records nothing is missing that could be seen.
      if (error === '') expect(records.at(-1)?.kind).not.toBe('end')
      else expect(error).toMatch(/^(this is no trace: it has \d+ bytes|the trace is cut off: it ends at byte \d+, .*)$/)
    }
  })

  it('may have kinds of records, and fields, that the reader does not know', () => {
    const more = new Uint8Array([3, 0, 0, 0, 200, 1, 2, 3])
    expect([...readTrace(Buffer.concat([trace, more]))]).toEqual(whole)
    // A hedge: time, number, and a field of a later day.
    const longer = new Uint8Array(5 + 16)
    longer[0] = 16
    longer[4] = 7
    longer[13] = 9
    expect([...readTrace(Buffer.concat([trace, longer]))].at(-1)).toEqual({ kind: 'hedge', time: 0, io: 9 })
  })
})

describe('what is no good trace is refused in words', () => {
  it.each<[string, Uint8Array, string]>([
    ['nothing', new Uint8Array(), 'this is no trace: it has 0 bytes'],
    [
      'another file',
      new TextEncoder().encode('{"pairs": [], "missing": []}'),
      'this is no trace: it does not begin with BBTRACE',
    ],
    [
      'a later version',
      changed((_, view) => view.setUint16(8, 2, true)),
      'the trace is of version 2; this reader knows version 1',
    ],
    [
      'a huge header',
      changed((_, view) => view.setUint32(10, 2 ** 32 - 1, true)),
      'the trace is damaged at byte 0: a record is to have 4294967295 bytes; the longest has 1048576',
    ],
    [
      'a header that ends early',
      changed((_, view) => view.setUint32(10, 10, true)),
      'the trace is damaged at byte 14: its record of 10 bytes ends inside one of its fields',
    ],
  ])('%s', (_, bytes, words) => {
    expect(readAll(bytes).error).toBe(words)
  })

  it('a record with a huge length, at once: nothing is kept for it', () => {
    const start = 14 + new DataView(trace.buffer).getUint32(10, true)
    const { records, error } = readAll(changed((_, view) => view.setUint32(start, 2 ** 31, true)))
    expect(records).toHaveLength(1)
    expect(error).toBe(
      `the trace is damaged at byte ${start}: a record is to have 2147483648 bytes; the longest has 1048576`,
    )
  })

  it('damage anywhere gives records or an error, and nothing else', () => {
    const random = createRandom(11)
    for (let round = 0; round < 3000; round++) {
      const bytes = changed((each) => {
        for (let count = 1 + randomInt(random, 4); count > 0; count--) {
          each[randomInt(random, each.length)] = randomInt(random, 256)
        }
      })
      readAll(bytes)
    }
  })
})
