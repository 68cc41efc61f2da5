import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemHost } from '@blockbraid/core'
import { connectNbd } from '@blockbraid/testkit'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { parseArrayFile } from '../src/array/array-file.ts'
import type { Lab } from '../src/array/lab.ts'
import { startLab } from '../src/array/lab.ts'
import { stateOf } from '../src/array/state.ts'
import { runWords } from '../src/array/words.ts'
import { callControl } from '../src/control/client.ts'
import type { PathListing } from '../src/snapshot/listing.ts'
import { begin, run } from './fixtures/terminal.ts'

const SOON = { timeout: 20_000 }
const NQN = 'nqn.2026-11.io.example:lab'
const ARRAYS = `volumes: [{ size: 4MiB, blockSize: 512 }]
arrays:
  - { use: iscsi, name: iqn.2026-11.io.example:lab, ports: [{ port: 0, access: non-optimized }] }
  - { use: nvmeof, name: ${NQN}, ports: [127.0.0.1:0], quiesceTime: 200ms }
`

let folder: string
let control: string
let runs = 0
let atEnd: (() => Promise<unknown>)[] = []
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bb-two-'))
  control = join(folder, 'control.sock')
})
afterEach(async () => {
  for (const end of atEnd.reverse()) await end()
  atEnd = []
})
afterAll(() => rm(folder, { recursive: true }))

/** Arrays of both kinds, and an agent that has a device over both. */
async function bed(arrays = ARRAYS, config = ''): Promise<Lab> {
  const lab = await startLab(parseArrayFile(arrays, 'lab.yaml', {}), systemHost)
  atEnd.push(() => lab.close())
  const at = (use: string) => lab.ports.filter(({ array }) => array.use === use).map(({ wire }) => wire.address)
  await writeFile(
    join(folder, 'bb.yaml'),
    `control: ${control}
state: ${folder}/state${runs++}
${config}
targets:
  - { use: iscsi, portals: [${at('iscsi').join()}] }
  - { use: nvmeof, portals: [${at('nvmeof').join()}], subsystem: ${NQN}, keepAliveTimeout: 500ms }
devices: [{ volume: "*", name: disk, transport: { use: nbd, socket: ${folder}/nbd.sock } }]
`,
  )
  const agent = begin(folder, ['up', 'bb.yaml', '--json'])
  atEnd.push(() => {
    agent.interrupt()
    return agent.ended
  })
  await Promise.race([agent.ended, expect.poll(() => agent.output.out, SOON).toContain('}\n')])
  await expect.poll(async () => (await paths()).map(({ state }) => state), SOON).toEqual(['up', 'up'])
  return lab
}

async function paths(): Promise<readonly PathListing[]> {
  return (await callControl(control, { op: 'ls' })).pairs[0]!.paths
}

async function client() {
  const made = await connectNbd(`nbd+unix:///disk?socket=${folder}/nbd.sock`)
  atEnd.push(() => made.close())
  return made
}

const block = (fill: number): Uint8Array => new Uint8Array(512).fill(fill)

describe('a volume over iSCSI and NVMe/TCP', () => {
  it('is one device, whose commands go through the paths of their protocol', async () => {
    await bed()
    expect((await paths()).map(({ id }) => id.split(':', 1)[0])).toEqual(['iscsi', 'nvme-tcp'])
    const ask = (...words: string[]) => run(folder, ...words, '--control', control)
    expect((await ask('scsi', 'disk', 'inquiry')).out).toContain('SIMULATED ARRAY')
    expect((await ask('nvme', 'disk', 'id-ctrl')).out).toContain(NQN)
    expect((await ask('nvme', 'disk', 'id-ns')).out).toContain('4 MiB, 8192 blocks')
    // Of each path that is up, and speaks it.
    expect((await ask('nvme', 'disk', 'fence')).out).toMatch(/^keep-alive timeout +500 ms$/m)
  })

  it('goes on over the other one, and a write that is held moves after the time in which its controller ends', async () => {
    const lab = await bed()
    const disk = await client()
    await disk.write(0, block(1))
    await runWords(lab, 'port 1 hold')
    let acknowledged = false
    const held = disk.write(0, block(2)).then(() => {
      acknowledged = true
    })
    await expect.poll(() => stateOf(lab).ports[1]?.held, SOON).toBe(1)
    // Nothing comes any more, and its keep-alive timer, which nobody hears, ends the controller.
    await runWords(lab, 'port 1 blackhole on')
    await expect.poll(async () => (await paths())[1]?.reason, SOON).toMatch(/; waits for its fence: time$/)
    expect(acknowledged).toBe(false)
    await held
    expect((await paths())[1]).toMatchObject({ fenced: { by: 'time', assumed: false } })
    await disk.write(0, block(3))
    await runWords(lab, 'heal')
    await expect.poll(async () => (await paths()).map(({ state }) => state), SOON).toEqual(['up', 'up'])
    expect([lab.storage.peek(0, 0, 1)[0], Buffer.from(await disk.read(0, 512))[0]]).toEqual([3, 3])
    const { pairs } = await callControl(control, { op: 'stats' })
    expect(pairs[0]?.paths[1]?.fences).toEqual({ time: 1 })
    expect(stateOf(lab).violations).toEqual([])
  }, 30_000)

  it('that has an identity by each is one device where the config says so', async () => {
    const arrays = ARRAYS.replace('blockSize: 512', 'blockSize: 512, id: naa.6001405000000000000000000000abcd')
    await bed(arrays, 'same: [[naa.6001405000000000000000000000abcd, eui.6001405000000000000000000000abcd]]')
    const { pairs } = await callControl(control, { op: 'ls' })
    expect(pairs.map(({ volume }) => volume)).toEqual(['naa.6001405000000000000000000000abcd'])
  })
})
