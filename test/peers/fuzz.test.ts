import { randomInt } from '@blockbraid/testkit'
import { expect, it } from 'vitest'
import { fileChecksum } from './support/data.ts'
import { memoryUse } from './support/memory.ts'
import { dial, opening, request } from './support/raw.ts'
import { seeded } from './support/seed.ts'
import { openServer } from './support/server.ts'
import { succeed } from './support/tools.ts'

// transport-nbd's own tests feed more, without sockets.
const SESSIONS = Number(process.env['PEERS_FUZZ'] ?? 3000)
const AT_ONCE = 24
const SIZE = 2 ** 20
const patient = { timeout: 30_000 }

function option(number: number, data: Buffer): Buffer {
  const head = Buffer.alloc(16)
  head.write('IHAVEOPT')
  head.writeUInt32BE(number, 8)
  head.writeUInt32BE(data.length, 12)
  return Buffer.concat([head, data])
}

function randomBuffer(random: () => number, length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => randomInt(random, 256)))
}

/** What a client might say, in good order. */
function session(random: () => number): Buffer {
  const parts: Buffer[] = [Buffer.from([0, 0, 0, 3])]
  const words = opening('vol-0')
  while (random() < 0.5) {
    // List, structured replies, extended headers, meta contexts, info, and numbers nobody knows.
    const number = [3, 8, 11, 9, 10, 6, 1 + randomInt(random, 20)][randomInt(random, 7)]!
    parts.push(option(number, number === 6 ? words.subarray(20) : randomBuffer(random, randomInt(random, 3) * 4)))
  }
  parts.push(words.subarray(4))
  while (random() < 0.8) {
    const type = randomInt(random, 8)
    const length = randomInt(random, 5) * 4096
    const offset = randomInt(random, SIZE / 4096 + 2) * 4096
    parts.push(request(type, offset, length, random() < 0.5 ? 0 : randomInt(random, 64), randomInt(random, 1000)))
    if (type === 1) parts.push(Buffer.alloc(length, 0x5a))
  }
  return Buffer.concat(parts)
}

/** The same with some of its bits, bytes or parts changed. */
function mutated(bytes: Buffer, random: () => number): Buffer {
  let result = Buffer.from(bytes)
  for (let change = randomInt(random, 4); change > 0; change--) {
    const at = randomInt(random, result.length)
    const kind = randomInt(random, 4)
    if (kind === 0) result[at] = result[at]! ^ (1 << randomInt(random, 8))
    else if (kind === 1) result[at] = [0, 0xff, 0x7f, 0x80][randomInt(random, 4)]!
    else if (kind === 2) result = Buffer.concat([result.subarray(0, at), result.subarray(at + randomInt(random, 16))])
    else result = Buffer.concat([result.subarray(0, at), randomBuffer(random, 8), result.subarray(at)])
    if (result.length === 0) return result
  }
  return result
}

/** Says `bytes` in pieces, leaves in one way or another, and waits for the end of the connection. */
async function play(uri: string, bytes: Buffer, random: () => number): Promise<void> {
  const { socket, closed } = await dial(uri)
  const reads = random() < 0.9
  if (reads) socket.resume()
  const pieces = 1 + randomInt(random, 4)
  for (let piece = 0; piece < pieces; piece++) {
    const [from, to] = [piece, piece + 1].map((n) => Math.floor((bytes.length * n) / pieces))
    await new Promise((resolve) => socket.write(bytes.subarray(from, to), resolve))
  }
  if (reads && random() < 0.8) socket.end()
  else socket.destroy()
  await closed
}

it(`${SESSIONS} sessions of nonsense end, reach no other volume, and leave nothing behind`, async () => {
  const { seed, random } = seeded()
  await using bed = await openServer({ volumes: [{ size: SIZE }, { size: SIZE }] })
  const [fuzzed, other] = bed.uris as [string, string]
  const untouched = bed.array.checksum(1)
  let begun = 0
  const lane = async (until: number): Promise<void> => {
    while (begun < until) {
      begun++
      const good = session(random)
      const kind = random()
      const bytes =
        kind < 0.7 ? mutated(good, random) : kind < 0.9 ? good : randomBuffer(random, randomInt(random, 512))
      await play(fuzzed, bytes, random)
    }
  }
  const lanes = (until: number): Promise<unknown> => Promise.all(Array.from({ length: AT_ONCE }, () => lane(until)))
  await lanes(SESSIONS / 3)
  const before = await memoryUse()
  await lanes(SESSIONS)
  await expect
    .poll(() => {
      const { connections, requests, slabs } = bed.server.stats()
      return { connections, requests, slabs }
    }, patient)
    .toEqual({ connections: 0, requests: 0, slabs: 0 })
  const after = await memoryUse()
  expect(after.live - before.live, `seed ${seed}`).toBeLessThan(16)
  expect(after.resident - before.resident, `seed ${seed}`).toBeLessThan(96)
  // Some of it was good: requests were served, right and wrong ones.
  const { requests, errors } = bed.server.stats().exports[0]!
  expect(requests - errors).toBeGreaterThan(SESSIONS / 10)
  expect(errors).toBeGreaterThan(SESSIONS / 100)
  expect(bed.array.checksum(1)).toBe(untouched)
  for (const [number, uri] of [fuzzed, other].entries()) {
    const file = bed.folder.at(`out-${number}`)
    await succeed('nbdcopy', [uri, file])
    expect(await fileChecksum(file)).toBe(bed.array.checksum(number))
  }
})
