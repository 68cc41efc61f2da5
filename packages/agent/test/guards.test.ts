import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { PathInfo } from '@blockbraid/core'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import fencing from './fixtures/fencing-target.ts'
import type { InProcess, Outcome } from './fixtures/terminal.ts'
import { begin, run } from './fixtures/terminal.ts'

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url))

let folder: string
let agent: InProcess | undefined
let path: PathInfo

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bb-guards-'))
  vi.stubEnv('BLOCKBRAID_RUN', folder)
  const target = fencing({ proof: join(folder, 'proof') })
  path = (await target.discover())[0]!
  await target.close()
  await writeFile(
    join(folder, 'config.yaml'),
    `control: ${folder}/control.sock
targets: [{ use: ${here('fixtures/fencing-target.ts')}, proof: ${folder}/proof }]
devices: [{ volume: "*", name: "vol-{n}", transport: { use: nbd, socket: ${folder}/nbd.sock } }]
`,
  )
})
afterEach(async () => {
  agent?.interrupt()
  await agent?.ended
  agent = undefined
  vi.unstubAllEnvs()
  await rm(folder, { recursive: true, force: true })
})

const records = () => readdir(join(folder, 'fences')).catch(() => [])

/** A process that was killed while it had the volume; where it may have written, as JSON. */
async function killed(ranges = ''): Promise<number> {
  const args = [join(folder, 'fences'), path.volume, `fencing:${path.id}`, ranges]
  const keeper = ['--import', here('fixtures/sources.mjs'), here('fixtures/keeps-debt.mjs'), ...args]
  const child = spawn(process.execPath, keeper, { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(child.stdout, 'data')
  child.kill('SIGKILL')
  await once(child, 'exit')
  return child.pid!
}

async function up(): Promise<void> {
  agent = begin(folder, ['up', 'config.yaml'])
  await expect.poll(() => agent!.output.out, { timeout: 10_000 }).toContain('vol-0')
}

const command = (...args: string[]): Promise<Outcome> => run(folder, ...args, '--control', join(folder, 'control.sock'))

async function listed(): Promise<unknown[]> {
  return (JSON.parse((await command('ls', '--json')).out) as { pairs: { guards?: unknown[] }[] }).pairs[0]!.guards ?? []
}

describe('what a killed agent may have in flight', () => {
  it('is guarded until its proof comes, and then no more', async () => {
    const pid = await killed()
    await up()
    expect(await listed()).toMatchObject([{ offset: 0, length: null, reads: true, since: expect.stringMatching(/Z$/) }])
    await expect.poll(async () => (await command('ls')).out).toContain('no proof yet')
    const { out } = await command('ls')
    expect(out).toMatch(/\n {2}guarded: all of it: a write through \S+ may still land \(since \d+ s\)\n/)
    expect(out.replace(/\n +/g, ' ')).toContain(
      `process ${pid} may have left a change in flight; no proof yet: the port is silent`,
    )
    expect(Math.max(...out.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80)
    expect(JSON.parse((await command('stats', '--json')).out)).toMatchObject({ pairs: [{ guards: 1 }] })
    expect((await command('stats')).out).toContain('vol-0  no policy, active, 1 range guarded')
    // That of the killed one, and that of the path that is open now.
    expect(await records()).toHaveLength(2)
    await writeFile(join(folder, 'proof'), '')
    await expect.poll(listed, { timeout: 10_000 }).toEqual([])
    expect((await command('ls')).out).not.toContain('guarded')
    await expect.poll(records).toHaveLength(1)
    expect((await command('guards')).out).toBe('nothing is guarded\n')
  })

  it('is lifted on the word of an operator, who is told what that means', async () => {
    await killed('[[4096,65536],[1048064,512]]')
    await up()
    expect((await command('guards', 'vol-0')).out).toContain('  64 KiB at 4096: reads and writes wait, since ')
    const { code, out } = await command('guards', 'vol-0', '--release')
    expect(code).toBe(0)
    expect(out).toMatch(/^vol-0: I\/O to these ranges goes on:\n {2}64 KiB at 4096: /)
    expect(out).toContain('\n  512 B at 1048064: ')
    expect(out.replace(/\s+/g, ' ')).toContain('it overwrites newer data, and nobody is told')
    expect(Math.max(...out.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80)
    expect(await listed()).toEqual([])
    expect((await command('guards', 'vol-0', '--release')).out).toBe('nothing of vol-0 was guarded\n')
    await expect.poll(records).toHaveLength(1)
  })

  it('says in JSON what was lifted', async () => {
    await killed('[[0,512]]')
    await up()
    const all = JSON.parse((await command('guards', '--json')).out) as unknown
    expect(all).toMatchObject({ pairs: [{ name: 'vol-0', volume: path.volume, guards: [{ offset: 0, length: 512 }] }] })
    const { out } = await command('guards', 'vol-0', '--release', '--json')
    expect(JSON.parse(out)).toMatchObject({
      pair: 'vol-0',
      released: [{ offset: 0, length: 512, path: 'iscsi:t/p/lun0' }],
    })
  })

  it('needs the name of a pair that is there', async () => {
    await up()
    expect(await command('guards', '--release')).toMatchObject({
      code: 2,
      err: 'blockbraid: guards --release needs the name of a pair\n',
    })
    for (const args of [
      ['guards', 'vol-9'],
      ['guards', 'vol-9', '--release'],
    ]) {
      expect(await command(...args)).toMatchObject({
        code: 1,
        err: 'blockbraid: there is no pair vol-9; up are vol-0\n',
      })
    }
  })
})

it('an agent that ends in peace leaves no record', async () => {
  await up()
  expect(await records()).toHaveLength(1)
  agent!.interrupt()
  expect((await agent!.ended).code).toBe(0)
  expect(await records()).toEqual([])
})

it('an agent that cannot put on record what it may have in flight does no I/O, and says why', async () => {
  await writeFile(join(folder, 'file'), '')
  vi.stubEnv('BLOCKBRAID_RUN', join(folder, 'file'))
  agent = begin(folder, ['up', 'config.yaml'])
  const { code, err } = await agent.ended
  expect(code).toBe(1)
  expect(err).toContain('BLOCKBRAID_RUN must name a folder that this user may write to')
})
