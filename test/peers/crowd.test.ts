import type { NbdClient } from '@blockbraid/testkit'
import { connectNbd, pattern, patternFault } from '@blockbraid/testkit'
import { expect, it } from 'vitest'
import { memoryUse } from './support/memory.ts'
import { seeded } from './support/seed.ts'
import { openServer } from './support/server.ts'
import { succeed } from './support/tools.ts'

const PIECE = 64 * 1024
const CLIENTS = 500
const patient = { timeout: 20_000 }

/** Connects many clients at once; each writes and reads back a piece of its own. */
async function crowd(uri: string, count: number, seed: number): Promise<NbdClient[]> {
  const clients = await Promise.all(Array.from({ length: count }, () => connectNbd(uri)))
  await Promise.all(
    clients.map(async (client, n) => {
      const stamp = { seed, offset: n * PIECE, generation: n }
      await client.write(stamp.offset, pattern(PIECE, stamp), { fua: n % 2 === 0 })
      if (n % 2 === 1) await client.flush()
      expect(patternFault(await client.read(stamp.offset, PIECE), stamp), `seed ${seed}, client ${n}`).toBeUndefined()
    }),
  )
  return clients
}

it(`${CLIENTS} clients at once are served, and nothing of them is left`, async () => {
  const { seed } = seeded()
  await using bed = await openServer({ volumes: [{ size: CLIENTS * PIECE }] })
  const uri = bed.uris[0]!
  const gone = async (): Promise<void> => {
    await expect
      .poll(() => {
        const { connections, requests, slabs } = bed.server.stats()
        return { connections, requests, slabs }
      }, patient)
      .toEqual({ connections: 0, requests: 0, slabs: 0 })
  }

  const round = async (number: number): Promise<void> => {
    const clients = await crowd(uri, CLIENTS, seed + number)
    expect(bed.server.stats().connections).toBe(CLIENTS)
    // Another program gets its turn beside them.
    expect(await succeed('nbdinfo', ['--size', uri])).toBe(`${CLIENTS * PIECE}\n`)
    // Half of them leave in good order, the others in the middle of their requests.
    const ends = clients.map((client, n) => {
      if (n % 2 === 0) return client.close()
      const cut = client.read(0, PIECE).catch(() => {})
      client.destroy()
      return cut
    })
    await Promise.all(ends)
    await gone()
  }

  // The first round fills the volume and the pools.
  await round(0)
  const before = await memoryUse()
  await round(1)
  await round(2)
  const after = await memoryUse()
  expect(after.live - before.live).toBeLessThan(24)
  expect(after.resident - before.resident).toBeLessThan(192)
})

it('connections above the limit are closed, and those within it are served', async () => {
  await using bed = await openServer({ volumes: [{ size: '1MiB' }] }, { maxConnections: 8 })
  const uri = bed.uris[0]!
  const clients = await Promise.all(Array.from({ length: 8 }, () => connectNbd(uri)))
  await expect(connectNbd(uri)).rejects.toThrow()
  await Promise.all(clients.map((client) => client.read(0, 4096)))
  await clients.pop()!.close()
  await expect.poll(() => bed.server.stats().connections, patient).toBe(7)
  await using next = await connectNbd(uri)
  await next.read(0, 4096)
  await Promise.all(clients.map((client) => client.close()))
})
