import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemHost } from '@blockbraid/core'
import { connectNbd } from '@blockbraid/testkit'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { parseArrayFile } from '../src/array/array-file.ts'
import type { Lab } from '../src/array/lab.ts'
import { startLab } from '../src/array/lab.ts'
import { runWords } from '../src/array/words.ts'
import { callControl } from '../src/control/client.ts'
import { formatListing } from '../src/format/listing.ts'
import { begin, run } from './fixtures/terminal.ts'

const SOON = { timeout: 20_000 }
const ARRAYS = `volumes: [{ size: 4MiB, blockSize: 512 }]
transitionDelay: 300000
arrays:
  - use: iscsi
    name: iqn.2026-11.io.example:lab
    transitionTime: 10
    ports: [{ port: 0 }, { port: 0, access: non-optimized }]
`

let folder: string
let control: string
let atEnd: (() => Promise<unknown>)[] = []
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bb-failback-'))
  control = join(folder, 'control.sock')
})
afterEach(async () => {
  for (const end of atEnd.reverse()) await end()
  atEnd = []
})
afterAll(() => rm(folder, { recursive: true }))

/** Two controllers with a portal each, an agent with a path to each, and a client that reads all the time. */
async function bed(multipath: string) {
  const lab = await startLab(parseArrayFile(ARRAYS, 'lab.yaml', {}), systemHost)
  atEnd.push(() => lab.close())
  await writeFile(
    join(folder, 'bb.yaml'),
    `control: ${control}
targets: [{ use: iscsi, portals: [${lab.ports.map(({ wire }) => wire.address).join()}], pollInterval: 500ms }]
devices: [{ volume: "*", name: disk, multipath: ${multipath}, transport: { use: nbd, socket: ${folder}/nbd.sock } }]
`,
  )
  const agent = begin(folder, ['up', 'bb.yaml', '--json'])
  atEnd.push(() => {
    agent.interrupt()
    return agent.ended
  })
  await Promise.race([agent.ended, expect.poll(() => agent.output.out, SOON).toContain('}\n')])
  await expect.poll(async () => (await paths()).map(({ state }) => state), SOON).toEqual(['up', 'up'])
  const client = await connectNbd(`nbd+unix:///disk?socket=${folder}/nbd.sock`)
  atEnd.push(() => client.close())
  // For the first second after the device is opened better paths are still expected.
  await new Promise((resolve) => setTimeout(resolve, 1200))
  let running = true
  const errors: unknown[] = []
  const data = Buffer.alloc(64 * 512, 'what is read all the time')
  await client.write(0, data)
  // Reads: a write would wait until it is proven that nothing comes through the portal that is gone.
  const load = (async () => {
    for (let round = 0; running; round++) {
      try {
        if (!data.equals(await client.read(0, data.length))) errors.push(`round ${round}`)
      } catch (error) {
        errors.push(error)
      }
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  })()
  return {
    lab,
    agent,
    errors,
    async stop() {
      running = false
      await load
    },
  }
}

const paths = async () => (await callControl(control, { op: 'ls' })).pairs[0]!.paths

/** Which paths have done I/O since a moment ago, by their numbers. */
async function serving(): Promise<string> {
  const before = await paths()
  await new Promise((resolve) => setTimeout(resolve, 200))
  return (await paths()).flatMap(({ ios }, index) => (ios > before[index]!.ios ? [index] : [])).join()
}

async function comesBack(lab: Lab): Promise<void> {
  await runWords(lab, 'port 0 down')
  await expect.poll(serving, SOON).toBe('1')
  await runWords(lab, 'port 0 up')
  await expect.poll(async () => (await paths())[0]?.state, SOON).toBe('up')
}

describe('two controllers over iSCSI under load, one of them optimized', () => {
  it('I/O goes back after the delay of failback; ls says when, and path back has it do so at once', async () => {
    const { lab, agent, errors, stop } = await bed('{ failback: 5m }')
    expect(await serving()).toBe('0')
    await comesBack(lab)
    expect(await serving()).toBe('1')
    const lines = formatListing(await callControl(control, { op: 'ls' }), new Map(), 80)
    expect(lines.join('\n')).toMatch(/\n\|\s+usable again: I\/O goes back to it in \d+ s, when that has lasted 300 s\n/)
    for (const line of lines) expect(line.length).toBeLessThanOrEqual(80)
    expect((await paths())[0]?.state).toBe('up')
    await expect.poll(() => agent.output.err, SOON).toMatch(/path \S+ is usable again: I\/O goes back to it in \d+ s/)
    const back = await run(folder, 'path', 'back', 'disk', '--control', control)
    expect(back.out).toMatch(/^disk: I\/O goes back to iscsi:\S+\n$/)
    await expect.poll(serving, SOON).toBe('0')
    const again = await run(folder, 'path', 'back', 'disk', '--control', control)
    expect(again.out).toBe('disk: I/O goes to its best paths already\n')
    await stop()
    expect(errors).toEqual([])
  }, 60_000)

  it('I/O follows the preferred bit, and stays until it is called back where failback is manual', async () => {
    const { lab, errors, stop } = await bed('{ failback: manual }')
    await comesBack(lab)
    expect((await paths())[0]?.reason).toBe('usable again: I/O goes back to it when that is said by hand')
    // Restored by hand, though it is up.
    const [{ id } = { id: '' }] = await paths()
    await run(folder, 'path', 'restore', 'disk', id, '--control', control)
    await expect.poll(serving, SOON).toBe('0')
    await runWords(lab, 'volume 0 access port 1 optimized')
    await expect.poll(async () => (await paths())[1]?.access, SOON).toBe('optimized')
    await runWords(lab, 'volume 0 prefer port 1 on')
    await expect.poll(async () => (await paths())[1]?.preferred, SOON).toBe(true)
    await expect.poll(serving, SOON).toBe('1')
    await stop()
    expect(errors).toEqual([])
  }, 60_000)

  it('a standby controller is activated when the other one dies, once, and the transition is waited for', async () => {
    const { lab, errors, stop } = await bed('{ failback: immediate }')
    await runWords(lab, 'volume 0 access port 1 standby')
    await expect.poll(async () => (await paths())[1]?.access, SOON).toBe('standby')
    await runWords(lab, 'port 0 down')
    await expect.poll(serving, SOON).toBe('1')
    expect((await paths())[1]?.access).toBe('optimized')
    await stop()
    expect(errors).toEqual([])
  }, 60_000)
})
