import { writeFile } from 'node:fs/promises'
import type { Socket } from 'node:net'
import { createServer } from 'node:net'
import { connectNbd } from '@blockbraid/testkit'
import { expect } from 'vitest'
import type { Folder } from './support/bed.ts'
import { openFolder } from './support/bed.ts'
import { command } from './support/cli.ts'
import type { Tgt } from './support/tgt.ts'
import { itWithTgt, openTgt } from './support/tgt.ts'
import type { Running } from './support/tools.ts'
import { start } from './support/tools.ts'

const patient = { timeout: 60_000, interval: 50 }
const INITIATOR = 'iqn.2026-11.test:host'

interface Scene extends AsyncDisposable {
  readonly folder: Folder
  readonly control: string
  /** Starts an agent with arrays at these portals, one entry of the config each. */
  up(arrays: readonly (readonly string[])[], ...args: string[]): Promise<Running>
  /** Runs a command to its end. */
  run(...args: string[]): Promise<{ code: number | null; stdout: string; stderr: string }>
}

async function openScene(): Promise<Scene> {
  const folder = await openFolder()
  const control = folder.at('control.sock')
  const agents: Running[] = []
  const env = { BLOCKBRAID_RUN: folder.at('run'), BLOCKBRAID_STATE: folder.at('state') }
  const begin = (args: readonly string[]): Running =>
    start(process.execPath, [command, ...args], { cwd: folder.path, limit: 110_000, env })
  return {
    folder,
    control,
    async up(arrays, ...args) {
      const targets = arrays.map(
        (portals, index) =>
          `  - { use: iscsi, name: array${index}, initiator: "${INITIATOR}", toldPortals: false, portals: ${JSON.stringify(portals)} }`,
      )
      const text = `control: ${control}
targets:
${targets.join('\n')}
devices:
  - { volume: "*", name: "vol-{n}", transport: { use: nbd, socket: ${folder.at('nbd.sock')} } }
`
      await writeFile(folder.at('config.yaml'), text)
      const agent = begin(['up', folder.at('config.yaml'), ...args])
      agents.push(agent)
      return agent
    },
    run: (...args) => begin([...args, '--control', control]).ended,
    async [Symbol.asyncDispose]() {
      for (const agent of agents) agent.kill('SIGKILL')
      await Promise.all(agents.map(({ ended }) => ended))
      await folder[Symbol.asyncDispose]()
    },
  }
}

/** An address that takes connections and says nothing. */
async function openSilent(): Promise<AsyncDisposable & { readonly address: string }> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.resume()
  })
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  return {
    address: `127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise<void>((resolve) => void server.close(() => resolve()))
    },
  }
}

interface Listing {
  readonly pairs: readonly {
    readonly name: string
    readonly state: string
    readonly paths: readonly { readonly state: string }[]
  }[]
  readonly missing?: readonly { readonly what: string; readonly why: string }[]
}

const list = async ({ run }: Scene): Promise<Listing> => {
  const { code, stdout } = await run('ls', '--json')
  return code === 0 ? JSON.parse(stdout) : { pairs: [] }
}
const pairsOf = async (scene: Scene): Promise<string[]> =>
  (await list(scene)).pairs.map(({ name, state }) => `${name} ${state}`)

async function openArray(): Promise<Tgt> {
  const tgt = await openTgt()
  await (await tgt.addTarget()).addLun()
  return tgt
}

itWithTgt('starts with the array that is there beside one that refuses, and pairs that one when it comes', async () => {
  await using well = await openArray()
  await using absent = await openArray()
  await absent.kill()
  await using scene = await openScene()
  await scene.up([[well.portals[0]], [absent.portals[0]]])
  await expect.poll(() => pairsOf(scene), patient).toEqual(['vol-0 active'])
  const { stdout } = await scene.run('ls')
  expect(stdout).toMatch(/^missing: target array1: .*\(since \d+ s\)$/m)
  await absent.restart()
  await expect.poll(() => pairsOf(scene), patient).toEqual(['vol-0 active', 'vol-1 active'])
  expect((await scene.run('ls')).stdout).not.toContain('missing')
})

itWithTgt('starts with the array that is there beside one that says nothing', async () => {
  await using well = await openArray()
  await using silent = await openSilent()
  await using scene = await openScene()
  await scene.up([[silent.address], [well.portals[0]]])
  await expect.poll(() => pairsOf(scene), patient).toEqual(['vol-0 active'])
  expect((await list(scene)).missing).toMatchObject([{ what: 'target array0' }])
  const rescan = await scene.run('rescan')
  expect(rescan).toMatchObject({ code: 1, stdout: 'nothing changed\n' })
})

itWithTgt('finds a target again that was removed, and asked for meanwhile', async () => {
  await using tgt = await openTgt()
  const name = 'iqn.2026-11.test.tgt:comes-and-goes'
  const file = tgt.folder.at('kept')
  await writeFile(file, Buffer.alloc(2 ** 20))
  const params = { scsi_id: 'kept', scsi_sn: 'kept' }
  const make = async () => {
    const target = await tgt.addTarget({ name })
    await target.addLun({ file, params })
    return target
  }
  const target = await make()
  await using scene = await openScene()
  await scene.up([[tgt.portals[0]]])
  await expect.poll(() => pairsOf(scene), patient).toEqual(['vol-0 active'])
  const client = await connectNbd(`nbd+unix:///vol-0?socket=${scene.folder.at('nbd.sock')}`)
  await target.remove()
  await scene.run('rescan')
  await expect.poll(() => pairsOf(scene), patient).toEqual(['vol-0 stalled'])
  const write = client.write(0, Buffer.alloc(4096, 7))
  await make()
  await write
  expect(await pairsOf(scene)).toEqual(['vol-0 active'])
  await client.close()
})

itWithTgt('is not replaced by an agent that does not reach its array, and does not notice the look', async () => {
  await using tgt = await openTgt()
  const target = await tgt.addTarget()
  await target.addLun()
  await using silent = await openSilent()
  await using scene = await openScene()
  await scene.up([[tgt.portals[0]]])
  await expect.poll(() => pairsOf(scene), patient).toEqual(['vol-0 active'])
  const sessions = await target.sessions()
  const replacing = await scene.up([[silent.address]], '--take-over')
  const { code, stderr } = await replacing.ended
  expect(code).toBe(1)
  expect(stderr).toMatch(
    /^blockbraid: the agent with pid \d+ keeps what it serves: no path to \S+ \(pair vol-0\) is found/,
  )
  // With its array, and a second one that says nothing: it looks first, and only then the first one ends.
  expect(await target.sessions()).toEqual(sessions)
  const after = await list(scene)
  expect(after.pairs[0]!.paths.map(({ state }) => state)).toEqual(['up'])
  await scene.up([[silent.address], [tgt.portals[0]]], '--take-over')
  const isNew = async () => (await list(scene)).missing?.length === 1
  await expect.poll(isNew, patient).toBe(true)
  await expect.poll(() => pairsOf(scene), patient).toEqual(['vol-0 active'])
})
