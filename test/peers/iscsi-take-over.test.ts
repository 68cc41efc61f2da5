import { existsSync } from 'node:fs'
import { open, readdir, writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { NbdClient } from '@blockbraid/testkit'
import { connectNbd, createChaosProxy } from '@blockbraid/testkit'
import { expect } from 'vitest'
import type { Folder } from './support/bed.ts'
import { openFolder } from './support/bed.ts'
import { command, ls } from './support/cli.ts'
import { allAre } from './support/data.ts'
import type { SlowTgt } from './support/slow-tgt.ts'
import { itWithSlowTgt, openSlowTgt } from './support/slow-tgt.ts'
import type { TgtLun } from './support/tgt.ts'
import type { Running } from './support/tools.ts'
import { start } from './support/tools.ts'

const patient = { timeout: 60_000, interval: 20 }
const SIZE = 64 * 1024
const INITIATOR = 'iqn.2026-11.test:host'

interface Scene extends AsyncDisposable {
  readonly slow: SlowTgt
  readonly disk: TgtLun
  readonly folder: Folder
  /** Starts an agent with these portals and what else the target's entry of the config says. */
  agent(portals: readonly string[], more?: string, ...args: string[]): Promise<Running>
  client(): Promise<NbdClient>
  /** The range that is written, as the target holds it. */
  stored(): Promise<Buffer>
}

async function openScene(): Promise<Scene> {
  await using stack = new AsyncDisposableStack()
  const folder = stack.use(await openFolder())
  const slow = stack.use(await openSlowTgt(folder.path))
  const target = await slow.tgt.addTarget({ params: { MaxRecvDataSegmentLength: 262_144, InitialR2T: false } })
  const disk = await target.addLun()
  const socket = folder.at('nbd.sock')
  const all = stack.move()
  const agents: Running[] = []
  return {
    slow,
    disk,
    folder,
    async agent(portals, more = '', ...args) {
      const config = folder.at('config.yaml')
      await writeFile(
        config,
        `control: ${folder.at('control.sock')}
targets:
  - { use: iscsi, portals: [${portals.map((portal) => `"${portal}"`).join(', ')}], initiator: "${INITIATOR}"${more} }
devices:
  - { volume: "*", name: disk, transport: { use: nbd, socket: ${socket} } }
`,
      )
      const agent = start(process.execPath, [command, 'up', config, ...args], {
        cwd: folder.path,
        limit: 110_000,
        env: { BLOCKBRAID_RUN: folder.at('run') },
      })
      agents.push(agent)
      return agent
    },
    async client() {
      let client: NbdClient | undefined
      const connect = async (): Promise<boolean> => {
        client = await connectNbd(`nbd+unix:///disk?socket=${socket}`).catch(() => undefined)
        return client !== undefined
      }
      await expect.poll(connect, patient).toBe(true)
      return client!
    },
    async stored() {
      await using file = await open(disk.file)
      return (await file.read(Buffer.alloc(SIZE), 0, SIZE, 0)).buffer
    },
    async [Symbol.asyncDispose]() {
      // They would write into the folder while it goes.
      for (const agent of agents) agent.kill('SIGKILL')
      await Promise.all(agents.map(({ ended }) => ended))
      await all.disposeAsync()
    },
  }
}

/** A client writes, and the target is slow to execute that. */
async function beginSlowWrite({ client, slow }: Scene): Promise<void> {
  const old = await client()
  void old.write(0, Buffer.alloc(SIZE, 'S')).catch(() => {})
  await expect.poll(() => existsSync(slow.mark('begun')), patient).toBe(true)
}

/** Writes something newer through the agent that runs now, lets the slow write go, and looks at the disk. */
async function overwrite({ client, slow, stored }: Scene): Promise<void> {
  const next = await client()
  const newer = next.write(0, Buffer.alloc(SIZE, 'N')).then(() => next.flush())
  newer.catch(() => {})
  const early = await Promise.race([newer.then(() => 'acknowledged'), sleep(1500).then(() => 'waits')])
  await writeFile(slow.mark('go'), '')
  await newer
  await expect.poll(() => existsSync(slow.mark('done')), patient).toBe(true)
  // What the target still had of the old one is on the disk by now.
  await sleep(100)
  expect(allAre(await stored(), 'N'.charCodeAt(0))).toBe(true)
  expect(early).toBe('waits')
  await next.close()
}

itWithSlowTgt.each<[string, (portals: readonly string[]) => readonly string[], string]>([
  ['the same config', (portals) => portals, ''],
  ['the portal spelt otherwise', ([first]) => [first!.replace('127.0.0.1', 'localhost')], ', toldPortals: false'],
  ['a session for each logical unit', (portals) => portals, ', sessionPerLun: true'],
])(
  'a write that an agent left when it was killed does not undo what the next one writes, with %s',
  async (_what, edit, more) => {
    await using scene = await openScene()
    const portals = [scene.slow.tgt.portals[0]]
    const first = await scene.agent(portals, ', toldPortals: false')
    await beginSlowWrite(scene)
    first.kill('SIGKILL')
    await first.ended
    await scene.agent(edit(portals), more)
    await overwrite(scene)
    // What is proven is no longer on record; what the living agent may have in flight is.
    await expect.poll(() => readdir(scene.folder.at('run/fences')), patient).toHaveLength(1)
  },
)

itWithSlowTgt('nor when the agent hands over, asked by up --take-over', async () => {
  await using scene = await openScene()
  const portals = [scene.slow.tgt.portals[0]]
  const first = await scene.agent(portals)
  await beginSlowWrite(scene)
  await scene.agent(portals, '', '--take-over')
  await first.ended
  await overwrite(scene)
})

itWithSlowTgt('nor when its portal was taken out of the config, and another one of its group is left', async () => {
  await using scene = await openScene()
  const { tgt } = scene.slow
  const first = await scene.agent([tgt.portals[1]], ', toldPortals: false')
  await beginSlowWrite(scene)
  first.kill('SIGKILL')
  await first.ended
  await scene.agent([tgt.portals[0]], ', toldPortals: false')
  await overwrite(scene)
})

itWithSlowTgt('nor does one that is still on its way, through a portal that no longer answers', async () => {
  await using scene = await openScene()
  const { tgt } = scene.slow
  const [host = '', port = ''] = tgt.portals[1].split(':')
  await using proxy = await createChaosProxy({ to: { host, port: Number(port) } })
  const first = await scene.agent([proxy.address], ', toldPortals: false')
  const old = await scene.client()
  proxy.hold('up')
  void old.write(0, Buffer.alloc(SIZE, 1)).catch(() => {})
  await expect.poll(() => proxy.connections.some(({ held }) => held.up >= SIZE), patient).toBe(true)
  first.kill('SIGKILL')
  await first.ended
  await scene.agent([proxy.address, tgt.portals[0]], ', toldPortals: false, loginTimeout: 2s')
  const next = await scene.client()
  await next.write(0, Buffer.alloc(SIZE, 2))
  await next.flush()
  proxy.release('up')
  const passed = (): boolean => proxy.connections.every(({ held, targetGone }) => targetGone || held.up === 0)
  await expect.poll(passed, patient).toBe(true)
  await sleep(200)
  expect(allAre(await scene.stored(), 2)).toBe(true)
  await next.close()
})

itWithSlowTgt('ls says what is guarded and why, until the target is ready', async () => {
  await using scene = await openScene()
  const portals = [scene.slow.tgt.portals[0]]
  const first = await scene.agent(portals)
  await beginSlowWrite(scene)
  first.kill('SIGKILL')
  await first.ended
  await scene.agent(portals)
  const control = scene.folder.at('control.sock')
  const listed = async () => (await ls(scene.folder.path, control).catch(() => undefined))?.pairs[0]
  await expect.poll(listed, patient).toMatchObject({ guards: [{ offset: 0, length: null, reads: true }] })
  await writeFile(scene.slow.mark('go'), '')
  const free = async () => {
    const pair = await listed()
    return pair !== undefined && pair.guards === undefined
  }
  await expect.poll(free, patient).toBe(true)
})
