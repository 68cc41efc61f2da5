// One agent, three arrays: one well, one half dead, one absent. 60 volumes in all.
import { writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { IscsiArray } from '@blockbraid/array-iscsi'
import { iscsiArrayOf } from '@blockbraid/array-iscsi'
import type { MemoryTarget } from '@blockbraid/target-memory'
import { memory } from '@blockbraid/target-memory'
import type { NbdClient } from '@blockbraid/testkit'
import { connectNbd } from '@blockbraid/testkit'
import { describe, expect, it } from 'vitest'
import type { Folder } from './support/bed.ts'
import { openFolder } from './support/bed.ts'
import type { Listing } from './support/cli.ts'
import { command, ls } from './support/cli.ts'
import type { Running } from './support/tools.ts'
import { start } from './support/tools.ts'

const WELL = 24
const HALF = 20
const ABSENT = 16
// Milliseconds that the agent promises; a machine that does other work beside it gets as much again.
const UP = 5000
const FOUND = 15_000
const DELAY = 1000
const SPARE = 2
const MOST_LINES = 60

const MEDIUM_ERROR = 0x3_1100
const READ_16 = 0x88
const READ_10 = 0x28

interface Array {
  readonly target: MemoryTarget
  readonly iscsi: IscsiArray
}

async function openArray(name: string, volumes: number, ports: number): Promise<Array> {
  const target = memory({
    name,
    ports,
    controllers: 1,
    volumes: Array.from({ length: volumes }, () => ({ size: '16MiB' as const })),
  })
  return { target, iscsi: await iscsiArrayOf(target, { name: `iqn.2026-11.test:${name}` }) }
}

interface Day extends AsyncDisposable {
  readonly folder: Folder
  readonly well: Array
  readonly half: Array
  readonly absent: Array
  up(): Promise<Running>
  listing(): Promise<Listing>
}

async function openDay(): Promise<Day> {
  await using stack = new AsyncDisposableStack()
  const folder = stack.use(await openFolder())
  const [well, half, absent] = await Promise.all([
    openArray('well', WELL, 2),
    openArray('half', HALF, 3),
    openArray('absent', ABSENT, 2),
  ])
  for (const { iscsi } of [well, half, absent]) stack.use(iscsi)
  const portals = ({ iscsi }: Array): string => iscsi.portals.map(({ address }) => `"${address}"`).join(', ')
  const config = folder.at('config.yaml')
  await writeFile(
    config,
    `control: ${folder.at('control.sock')}
targets:
  - { use: iscsi, name: well, portals: [${portals(well)}] }
  - { use: iscsi, name: half, portals: [${portals(half)}] }
  - { use: iscsi, name: absent, portals: [${portals(absent)}] }
devices:
  - volume: "*"
    name: "vol-{n}"
    transport: { use: nbd, socket: ${folder.at('nbd.sock')} }
`,
  )
  let agent: Running | undefined
  const all = stack.move()
  return {
    folder,
    well,
    half,
    absent,
    async up() {
      agent = start(process.execPath, [command, 'up', config], {
        cwd: folder.path,
        limit: 115_000,
        env: { BLOCKBRAID_RUN: folder.at('run'), BLOCKBRAID_STATE: folder.at('state') },
      })
      await agent.printed((text) => text.includes('up; control socket'))
      return agent
    },
    listing: () => ls(folder.path, folder.at('control.sock')),
    async [Symbol.asyncDispose]() {
      agent?.kill('SIGKILL')
      await agent?.ended
      await all.disposeAsync()
    },
  }
}

/** Reads again and again through an export; the longest that one took, milliseconds, and what went wrong. */
interface Load extends AsyncDisposable {
  readonly longest: number
  readonly errors: readonly string[]
  readonly reads: number
}

async function readsOf(socket: string, name: string): Promise<Load> {
  const client: NbdClient = await connectNbd(`nbd+unix:///${name}?socket=${socket}`)
  const load = { longest: 0, errors: [] as string[], reads: 0 }
  const over = new AbortController()
  const work = (async () => {
    for (let block = 0; !over.signal.aborted; block = (block + 1) % 1000) {
      const begun = performance.now()
      const submitted = new Promise<void>((resolve) => {
        client.read(block * 4096, 4096).then(
          () => resolve(),
          (error: unknown) => {
            load.errors.push(String(error))
            resolve()
          },
        )
      })
      await submitted
      load.reads++
      load.longest = Math.max(load.longest, performance.now() - begun)
      await sleep(50, undefined, { signal: over.signal }).catch(() => {})
    }
  })()
  return {
    get longest() {
      return load.longest
    },
    get errors() {
      return load.errors
    },
    get reads() {
      return load.reads
    },
    async [Symbol.asyncDispose]() {
      over.abort()
      await Promise.race([work, sleep(5000)])
      client.destroy()
    },
  }
}

type Pairs = Listing['pairs']

function pairsOf(pairs: Pairs, array: string): Pairs {
  return pairs.filter(({ paths }) => paths.some(({ id }) => id.includes(`:${array}/`)))
}

function allUp(pairs: Pairs, count: number, paths: number): boolean {
  return (
    pairs.length === count && pairs.every((pair) => pair.paths.filter(({ state }) => state === 'up').length === paths)
  )
}

describe('a bad day', () => {
  it('serves what is there, finds what comes back, and says so in a page', async () => {
    await using day = await openDay()
    const { half, absent } = day
    const [, silent, refusing] = half.iscsi.portals
    silent!.blackhole(true)
    await refusing!.down()
    for (const portal of absent.iscsi.portals) await portal.down()
    // One logical unit never answers, one cannot be read.
    half.iscsi.faults.wire({ pdu: ['dataIn', 'scsiResponse'], lun: 3, drop: true })
    for (const opcode of [READ_10, READ_16]) {
      half.iscsi.faults.command({ lun: 5, opcode, status: 2, sense: MEDIUM_ERROR })
    }
    const found = async (count: (pairs: Pairs) => boolean): Promise<number> => {
      const begun = performance.now()
      await expect.poll(async () => count((await day.listing()).pairs), { timeout: 45_000, interval: 250 }).toBe(true)
      return Math.round(performance.now() - begun)
    }

    const times: Record<string, number> = {}
    const begun = performance.now()
    const agent = await day.up()
    times['up'] = Math.round(performance.now() - begun)
    const { pairs } = await day.listing()
    expect(allUp(pairsOf(pairs, 'well'), WELL, 2)).toBe(true)
    // All but the one that does not say what it is.
    expect(pairsOf(pairs, 'half').length).toBe(HALF - 1)

    const socket = day.folder.at('nbd.sock')
    await using stack = new AsyncDisposableStack()
    const loads: Load[] = []
    for (const { name } of pairsOf(pairs, 'well')) loads.push(stack.use(await readsOf(socket, name)))
    const nameOf = (lun: number): string =>
      pairsOf(pairs, 'half').find(({ paths }) => paths.some(({ id }) => id.endsWith(`/lun${lun}`)))!.name
    const sick = stack.use(await readsOf(socket, nameOf(5)))

    await sleep(3000)
    silent!.blackhole(false)
    times['silent portal'] = await found((all) => allUp(pairsOf(all, 'half'), HALF - 1, 2))
    await refusing!.up()
    times['refusing portal'] = await found((all) => allUp(pairsOf(all, 'half'), HALF - 1, 3))
    for (const portal of absent.iscsi.portals) await portal.up()
    times['absent array'] = await found((all) => allUp(pairsOf(all, 'absent'), ABSENT, 2))

    // It flaps.
    for (let times = 0; times < 4; times++) {
      half.iscsi.portals[0]!.cut()
      await sleep(700)
    }
    half.iscsi.faults.heal()
    times['hung unit'] = await found((all) => allUp(pairsOf(all, 'half'), HALF, 3))
    times['all'] = await found(
      (all) => all.length === WELL + HALF + ABSENT && all.every(({ state }) => state === 'active'),
    )
    // The absent one goes again, whole.
    for (const portal of absent.iscsi.portals) await portal.down()
    times['stalled'] = await found((all) => pairsOf(all, 'absent').every(({ state }) => state === 'stalled'))
    for (const portal of absent.iscsi.portals) await portal.up()
    times['resumed'] = await found((all) => all.every(({ state }) => state === 'active'))

    const longest = Math.max(...loads.map((load) => load.longest))
    expect(loads.flatMap(({ errors }) => errors)).toEqual([])
    expect(Math.min(...loads.map(({ reads }) => reads))).toBeGreaterThan(50)
    expect(sick.errors.length).toBeGreaterThan(0)
    await stack.disposeAsync()
    agent.kill('SIGTERM')
    const { code, stderr } = await agent.ended
    const lines = stderr.trimEnd().split('\n')
    console.log(JSON.stringify({ ...times, longest: Math.round(longest), lines: lines.length }))
    if (process.env['BLOCKBRAID_LOG'] !== undefined) await writeFile(process.env['BLOCKBRAID_LOG'], stderr)
    expect(code).toBe(0)
    expect(lines.length, stderr).toBeLessThan(MOST_LINES)
    expect(times['up']).toBeLessThan(UP * SPARE)
    for (const what of ['silent portal', 'refusing portal', 'absent array', 'hung unit', 'resumed']) {
      expect(times[what], what).toBeLessThan(FOUND * SPARE)
    }
    expect(longest).toBeLessThan(DELAY * SPARE)
  })
})
