import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { VolumeId } from '@blockbraid/core'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { fileLedger } from '../src/state/ledger.ts'

const VOLUME = 'naa.6b1d0f3a5c7e9b1d0f3a5c7e9b1d0f3a' as VolumeId
const OTHER = 'eui.0123456789abcdef' as VolumeId
const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url))

let folder: string
let children: ChildProcess[] = []
const told: string[] = []

beforeEach(async () => {
  folder = join(await mkdtemp(join(tmpdir(), 'bb-ledger-')), 'fences')
})
afterEach(async () => {
  await Promise.all(children.map(end))
  children = []
  told.length = 0
  await rm(join(folder, '..'), { recursive: true, force: true })
})

const ledger = () => fileLedger(folder, (line) => told.push(line))

/** A process that has put a debt on record. */
async function keeper(token: string, volume: string = VOLUME, ranges = ''): Promise<ChildProcess> {
  const args = [
    '--import',
    here('fixtures/sources.mjs'),
    here('fixtures/keeps-debt.mjs'),
    folder,
    volume,
    token,
    ranges,
  ]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  children.push(child)
  await once(child.stdout, 'data')
  return child
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGKILL')
  await once(child, 'exit')
}

describe('what a process may have in flight', () => {
  it('is found once it was killed, with where it may be, and only for that volume', async () => {
    const child = await keeper('a', VOLUME, '[[4096,512],[8192,4096]]')
    await keeper('b')
    const other = await keeper('c', OTHER)
    expect(await ledger().left(VOLUME)).toEqual([])
    await end(child)
    await end(other)
    const left = await ledger().left(VOLUME)
    expect(left).toMatchObject([
      {
        volume: VOLUME,
        token: 'a',
        path: 'iscsi:t/p/lun0',
        owner: `process ${child.pid}`,
        ranges: [
          [4096, 512],
          [8192, 4096],
        ],
      },
    ])
    const [anywhere] = await ledger().left(OTHER)
    expect(anywhere).not.toHaveProperty('ranges')
    await anywhere!.settle()
    await anywhere!.settle()
    expect(await ledger().left(OTHER)).toEqual([])
    expect(await ledger().left(VOLUME)).toHaveLength(1)
    expect(told).toEqual([])
  })

  it('is kept for each process by itself: that of the next one stays when the one before is settled', async () => {
    const first = await keeper('a')
    await end(first)
    const second = await keeper('a')
    const [debt] = await ledger().left(VOLUME)
    await debt!.settle()
    expect(await ledger().left(VOLUME)).toEqual([])
    await end(second)
    expect(await ledger().left(VOLUME)).toMatchObject([{ owner: `process ${second.pid}` }])
  })

  it('is found while the killed process waits for its parent', async () => {
    // A shell that never asks how its child has ended.
    const script = `"$@" & echo $!; exec sleep 60`
    const args = [here('fixtures/sources.mjs'), here('fixtures/keeps-debt.mjs'), folder, VOLUME, 'a', '']
    const shell = spawn('sh', ['-c', script, 'sh', process.execPath, '--import', ...args], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    children.push(shell)
    let out = ''
    shell.stdout.on('data', (chunk) => (out += String(chunk)))
    await expect.poll(() => out, { timeout: 20_000 }).toContain('put')
    process.kill(Number.parseInt(out, 10), 'SIGKILL')
    await expect.poll(() => ledger().left(VOLUME)).toHaveLength(1)
  })

  it('is one record a path, which a later one replaces and the proof takes away', async () => {
    const own = ledger()
    const debt = { volume: VOLUME, token: 'a', path: 'p' }
    await own.put(debt)
    await own.put({ ...debt, ranges: [[0, 512]] })
    await own.put({ ...debt, token: 'b' })
    expect(await readdir(folder)).toHaveLength(2)
    expect(await own.left(VOLUME)).toEqual([])
    await own.drop('a')
    await own.drop('a')
    expect(await readdir(folder)).toHaveLength(1)
  })

  it('is no business of other users, whatever the umask', async () => {
    const before = process.umask(0)
    try {
      await ledger().put({ volume: VOLUME, token: 'a', path: 'p' })
    } finally {
      process.umask(before)
    }
    const [name] = await readdir(folder)
    expect((await stat(join(folder, name!))).mode & 0o777).toBe(0o600)
    expect((await stat(folder)).mode & 0o022).toBe(0)
    await chmod(folder, 0o777)
    await expect(ledger().put({ volume: VOLUME, token: 'b', path: 'p' })).rejects.toMatchObject({ code: 'DENIED' })
    await expect(ledger().left(VOLUME)).rejects.toMatchObject({ code: 'DENIED' })
  })

  it('of thousands of paths is written a few at a time, and read again', async () => {
    const own = ledger()
    const tokens = Array.from({ length: 2000 }, (_, number) => `token ${number}`)
    await Promise.all(tokens.map((token) => own.put({ volume: VOLUME, token, path: token })))
    expect(await readdir(folder)).toHaveLength(2000)
    await Promise.all(tokens.map((token) => own.drop(token)))
    expect(await readdir(folder)).toEqual([])
  })
})

describe('a record that cannot be read', () => {
  it.each([
    '',
    '{"blockbraid":1',
    '[]',
    '{"blockbraid":2}',
    '{"blockbraid":1,"volume":"eui.0","token":"a","path":"p"}',
  ])('counts as a change anywhere on its volume that nothing proves: %j', async (text) => {
    await end(await keeper('a'))
    const [name] = await readdir(folder)
    await writeFile(join(folder, name!), text)
    const own = ledger()
    const left = await own.left(VOLUME)
    expect(left).toHaveLength(1)
    expect(left[0]).not.toHaveProperty('ranges')
    expect(left[0]!.token).toBe('')
    await own.left(VOLUME)
    expect(told).toEqual([expect.stringMatching(/ is damaged: .*blockbraid guards PAIR --release/)])
    expect(await own.left(OTHER)).toEqual([])
    // On somebody's word.
    await left[0]!.settle()
    expect(await own.left(VOLUME)).toEqual([])
  })

  it('with ranges that make no sense is damaged too', async () => {
    for (const ranges of ['[[0]]', '[[-1,512]]', '[["0",512]]', '{}', '[[0.5,1]]']) {
      await end(await keeper(ranges, VOLUME, ranges))
    }
    const left = await ledger().left(VOLUME)
    expect(left).toHaveLength(5)
    for (const debt of left) expect(debt).not.toHaveProperty('ranges')
  })

  it('of another kind is told and left alone; a draft of a killed process goes', async () => {
    await end(await keeper('a'))
    const [name] = await readdir(folder)
    await writeFile(join(folder, 'notes.txt'), 'x')
    await writeFile(join(folder, `.${name}.1`), '{')
    const own = ledger()
    expect(await own.left(VOLUME)).toHaveLength(1)
    expect((await readdir(folder)).sort()).toEqual([name, 'notes.txt'].sort())
    expect(told).toEqual([expect.stringContaining('notes.txt is no record of blockbraid')])
  })
})

describe('a folder that cannot be had', () => {
  it('is told in a sentence that says what to do', async () => {
    await writeFile(join(folder, '..', 'file'), '')
    const nowhere = fileLedger(join(folder, '..', 'file', 'fences'))
    await expect(nowhere.put({ volume: VOLUME, token: 'a', path: 'p' })).rejects.toThrow(
      /file\/fences cannot be made \(ENOTDIR\): BLOCKBRAID_RUN must name a folder that this user may write to$/,
    )
    await expect(nowhere.left(VOLUME)).rejects.toThrow(
      /fences cannot be read \(ENOTDIR\): BLOCKBRAID_RUN must name a folder/,
    )
    await mkdir(folder)
    expect(await ledger().left(VOLUME)).toEqual([])
  })
})
