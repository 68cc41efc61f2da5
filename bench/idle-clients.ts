import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { LeanClient } from './lean.ts'
import type { Memory } from './memory.ts'
import { watched } from './memory.ts'
import type { Goal } from './statistics.ts'

const CLIENTS = 500
const KIB = 1024
// What each has written and read before it rests.
const SIZES = [4 * KIB, 1024 * KIB]
const GOAL = 16
const WARM = 8
// Until a server has given back what a connection at rest does not need.
const REST = 3000

/** What 500 connected idle clients of an NBD server cost each, by what they did before. */
export async function measureClients(folder: string, lean: LeanClient, checkout: string | undefined): Promise<Goal[]> {
  const goals: Goal[] = []
  for (const bytes of SIZES) {
    const socket = join(folder, `clients-${bytes}${checkout === undefined ? '' : '-before'}.sock`)
    const server = watched(checkout, ['bench/serve.ts', socket, '64MiB'])
    try {
      while (!existsSync(`${socket}.simple`)) await sleep(50)
      const hold = async (clients: number): Promise<Memory> => {
        const end = await lean.hold({ socket, exportName: 'multipath' }, clients, bytes)
        await sleep(REST)
        const memory = await server.memory()
        await end()
        return memory
      }
      // A few before: what is there once is there. No more, as what they leave would be used again and not be seen.
      await hold(WARM)
      const few = await hold(1)
      const many = await hold(CLIENTS)
      for (const [what, of] of [
        ['resident', 'rss'],
        ['of heap and buffers', 'heap'],
      ] as const) {
        const value = (many[of] - few[of]) / (CLIENTS - 1) / KIB
        goals.push({ of: `KiB ${what}, each of ${CLIENTS} clients after ${bytes / KIB} KiB`, value, atMost: GOAL })
      }
    } finally {
      await server.stop()
    }
  }
  return goals
}
