import { expect, onTestFinished, test } from 'vitest'
import type { Endpoint } from '../src/index.ts'
import { Connection } from '../src/index.ts'
import { listen, shared } from './support.ts'

const KiB = 1024
const COUNT = 200

/** A connection, and the length of each chunk that it has read into. */
async function connect(endpoint: Endpoint): Promise<{ connection: Connection; chunks: number[] }> {
  const connection = new Connection(endpoint, shared)
  onTestFinished(() => connection.destroy())
  const chunks: number[] = []
  connection.sink = { bytes: (chunk) => void chunks.push(chunk.length), finished() {}, closed() {} }
  await connection.opened()
  return { connection, chunks }
}

test('connections to peers that say nothing take little memory', async () => {
  const endpoint = await listen(() => {})
  const before = process.memoryUsage().arrayBuffers
  await Promise.all(Array.from({ length: COUNT }, () => connect(endpoint)))
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(COUNT * 8 * KiB)
})

test('one over which data comes reads it in large pieces', async () => {
  const endpoint = await listen((socket) => void socket.write(Buffer.alloc(4096 * KiB)))
  const { chunks } = await connect(endpoint)
  await expect.poll(() => chunks.at(-1)).toBe(1024 * KiB)
  expect(chunks.filter((length) => length < 1024 * KiB).length).toBeLessThanOrEqual(2)
})
