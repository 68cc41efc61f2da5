// An agent over NVMe/TCP is killed while the array holds its write: the next one proves that it has ended before it writes there.
import { writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { NvmeArrayOptions } from '@blockbraid/array-nvmeof'
import { createNvmeArray } from '@blockbraid/array-nvmeof'
import { memory } from '@blockbraid/target-memory'
import type { NbdClient } from '@blockbraid/testkit'
import { connectNbd } from '@blockbraid/testkit'
import { expect, it } from 'vitest'
import { openFolder } from './support/bed.ts'
import { command } from './support/cli.ts'
import type { Running } from './support/tools.ts'
import { start } from './support/tools.ts'

const patient = { timeout: 60_000, interval: 20 }
const SIZE = 64 * 1024
const OLD = 1
const NEW = 2
const UUID = '6c9a2f5e-0f0c-4c0e-9a55-2d1b8f9f5a01'

/** What stands, and which way the proof was had, after one agent was killed and the next one has written. */
async function takeOver(options: Partial<NvmeArrayOptions>) {
  await using stack = new AsyncDisposableStack()
  const folder = stack.use(await openFolder())
  const storage = memory({ volumes: [{ size: '4MiB', blockSize: 4096 }], ports: 1 })
  stack.defer(() => storage.close({ signal: AbortSignal.timeout(2000) }).catch(() => {}))
  const [info] = await storage.discover()
  const device = await storage.connect(info!)
  const array = await createNvmeArray({
    name: 'nqn.2026-11.io.blockbraid:array',
    ports: [{}, {}],
    namespaces: [
      {
        volume: info!.volume,
        device: { limits: device.limits, submit: (io) => device.submit(io), close: async () => {} },
      },
    ],
    ...options,
  })
  stack.defer(() => array.close())
  const socket = folder.at('nbd.sock')
  const config = folder.at('config.yaml')
  const portals = array.ports.map(({ address }) => `"${address}"`).join(', ')
  const host = `hostNqn: "nqn.2014-08.org.nvmexpress:uuid:${UUID}", hostId: "${UUID}"`
  await writeFile(
    config,
    `control: ${folder.at('control.sock')}
targets:
  - { use: nvmeof, portals: [${portals}], subsystem: "${array.name}", ${host}, keepAliveTimeout: 2000, quiesceTime: 500 }
devices:
  - { volume: "*", name: disk, transport: { use: nbd, socket: ${socket} } }
`,
  )
  const agent = (): Running => {
    const running = start(process.execPath, [command, 'up', config], {
      cwd: folder.path,
      limit: 110_000,
      env: { BLOCKBRAID_RUN: folder.at('run') },
    })
    stack.defer(async () => {
      running.kill('SIGKILL')
      await running.ended
    })
    return running
  }
  const client = async (): Promise<NbdClient> => {
    let made: NbdClient | undefined
    const connect = async (): Promise<boolean> => {
      made = await connectNbd(`nbd+unix:///disk?socket=${socket}`).catch(() => undefined)
      return made !== undefined
    }
    await expect.poll(connect, patient).toBe(true)
    return made!
  }
  const first = agent()
  const hold = array.faults.command({ opcode: 0x01, holds: true, count: 1 })
  void (await client()).write(0, Buffer.alloc(SIZE, OLD)).catch(() => {})
  await expect.poll(() => hold.held, patient).toBe(1)
  first.kill('SIGKILL')
  await first.ended
  agent()
  const next = await client()
  await next.write(0, Buffer.alloc(SIZE, NEW))
  await next.flush()
  const { crossResets, expirations } = array.counters
  hold.release()
  await sleep(100)
  const stands = storage.array.peek(0, 0, 1)[0]
  await next.close()
  return { stands, crossResets, expirations }
}

it('a reset through another port ends it', async () => {
  const { stands, crossResets } = await takeOver({})
  expect(stands).toBe(NEW)
  expect(crossResets).toBeGreaterThan(0)
})

it('where none can be had, it waits until the controller has missed the agent', async () => {
  const { stands, expirations } = await takeOver({ crossResets: 0 })
  expect(stands).toBe(NEW)
  expect(expirations).toBeGreaterThan(0)
})

it('without the fence it would stand over the newer one: the tests above can fail', async () => {
  expect((await takeOver({ fences: { crossReset: false } })).stands).toBe(OLD)
})
