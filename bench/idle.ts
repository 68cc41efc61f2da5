import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { measureAgent } from './idle-agent.ts'
import { measureClients } from './idle-clients.ts'
import { leanClient } from './lean.ts'

/** Prints what an idle agent holds, and what idle clients of an NBD server cost. */
export async function measureIdle(beside: string | undefined): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'blockbraid-idle-'))
  try {
    const lean = leanClient(folder)
    for (const checkout of beside === undefined ? [undefined] : [undefined, beside]) {
      console.log(`\nidle${checkout === undefined ? '' : ', before'}`)
      await measureAgent(folder, checkout)
      if (lean !== undefined) await measureClients(folder, lean, checkout)
    }
  } finally {
    await rm(folder, { recursive: true })
  }
}
