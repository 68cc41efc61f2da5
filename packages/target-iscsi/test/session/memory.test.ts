import { systemHost } from '@blockbraid/core'
import { expect, onTestFinished, test } from 'vitest'
import { Connection } from '../../src/session/connection.ts'
import { scriptedTarget } from './hostile-target.ts'

const KiB = 1024
const COUNT = 200

/** A connection, and the length of each chunk that it has read into. */
async function connect(address: string): Promise<{ connection: Connection; chunks: number[] }> {
  const [host, port] = address.split(':') as [string, string]
  const connection = new Connection({ host, port: Number(port) }, systemHost.clock)
  onTestFinished(() => connection.destroy())
  const chunks: number[] = []
  connection.sink = { bytes: (chunk) => void chunks.push(chunk.length), ended() {} }
  await connection.opened()
  return { connection, chunks }
}

test('connections to portals that say nothing take little memory', async () => {
  const target = await scriptedTarget({ accept() {} })
  const before = process.memoryUsage().arrayBuffers
  await Promise.all(Array.from({ length: COUNT }, () => connect(target.address)))
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(COUNT * 32 * KiB)
})

test('one over which data comes reads it in large pieces', async () => {
  const target = await scriptedTarget({ accept: (socket) => void socket.write(Buffer.alloc(4096 * KiB)) })
  const { chunks } = await connect(target.address)
  await expect.poll(() => chunks.at(-1)).toBe(512 * KiB)
  expect(chunks.filter((length) => length < 512 * KiB).length).toBeLessThanOrEqual(2)
})
