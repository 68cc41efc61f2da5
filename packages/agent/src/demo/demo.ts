import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { messageOf } from '@blockbraid/core'
import type { MemoryArray } from '@blockbraid/target-memory'
import { createMemoryArray } from '@blockbraid/target-memory'
import { runAgent } from '../agent/run.ts'
import type { RunningAgent } from '../agent/running-agent.ts'
import { formatSize } from '../text/amounts.ts'
import { hashExport, hashMemory } from './checks.ts'
import { clientLoad, clientReader } from './client.ts'
import { findFio } from './fio.ts'
import { keepHistories } from './history.ts'
import type { Export, Load, Reader } from './load.ts'
import { BLOCK } from './load.ts'
import { HUNG_PORT, makeMishaps, pathsAt } from './mishaps.ts'
import { findNbdcopy } from './nbdcopy.ts'

/** Options of {@link runDemo}. */
export interface DemoOptions {
  /** Bytes of each volume. @defaultValue 64 MiB */
  size?: number
  /** Makes I/O with our own NBD client even where fio and nbdcopy are installed. @defaultValue false */
  own?: boolean
}

/** What a path did in the demo, and what happened to it. */
export interface PathStory {
  readonly pair: string
  /** Port of the array it leads over. */
  readonly path: string
  readonly ios: number
  /** I/Os that went another way after this path failed. */
  readonly moved: number
  readonly state: string
  readonly story: string
}

/** A thing that was checked. */
export interface Check {
  readonly ok: boolean
  readonly text: string
}

/** What the demo showed. */
export interface DemoResult {
  readonly ok: boolean
  readonly seconds: number
  /** Program that made the I/O. */
  readonly load: string
  readonly paths: readonly PathStory[]
  readonly checks: readonly Check[]
}

/** Hears of the demo as it goes on. */
export interface Audience {
  exported(exports: readonly Export[]): void
  loading(program: string): void
  happened(seconds: number, text: string): void
}

/** Runs the demo in a folder of its own, which it removes. */
export async function runDemo(audience: Audience, signal: AbortSignal, options: DemoOptions = {}): Promise<DemoResult> {
  const folder = await mkdtemp(join(tmpdir(), 'blockbraid-demo-'))
  try {
    return await runIn({ folder, audience, signal, size: options.size ?? 64 * 1024 * 1024 }, options.own === true)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

interface Stage {
  readonly folder: string
  readonly audience: Audience
  readonly signal: AbortSignal
  readonly size: number
}

async function runIn(stage: Stage, own: boolean): Promise<DemoResult> {
  const { folder, signal, size } = stage
  const load = (own ? undefined : await findFio(folder)) ?? clientLoad
  const reader = (own ? undefined : await findNbdcopy(folder)) ?? clientReader
  const array = createMemoryArray({
    volumes: [{ size }, { size }],
    controllers: 2,
    ports: 4,
    latency: { base: 200, jitter: 100 },
  })
  const running = await runAgent(
    {
      folder,
      state: false,
      targets: [{ use: 'memory', options: { array } }],
      devices: [
        {
          volume: '*',
          name: 'vol-{n}',
          policy: { use: 'round-robin', options: {} },
          transport: { use: 'nbd', options: { socket: join(folder, '{name}.sock') } },
          multipath: { ioTimeout: 2000 },
        },
      ],
    },
    { signal },
  )
  try {
    return await play(stage, running, array, load, reader)
  } finally {
    await running.close({ signal: AbortSignal.timeout(1000) })
  }
}

async function play(
  { folder, audience, signal, size }: Stage,
  running: RunningAgent,
  array: MemoryArray,
  load: Load,
  reader: Reader,
): Promise<DemoResult> {
  const started = performance.now()
  const elapsed = (): number => (performance.now() - started) / 1000
  const exports = running.agent.pairs.map((pair) => ({ name: pair.id, uri: pair.kernel.node, size }))
  const histories = keepHistories(running.agent.pairs, elapsed)
  audience.exported(exports)
  audience.loading(load.program)

  const over = new AbortController()
  const loading = load.run(exports, folder, signal).finally(() => over.abort())
  const mishaps = makeMishaps({
    array,
    running,
    total: (exports.length * 2 * size) / BLOCK,
    signal: AbortSignal.any([signal, over.signal]),
    tell: (text) => audience.happened(elapsed(), text),
  }).catch((error: unknown) => (over.signal.aborted ? 'the load ended before all of it' : messageOf(error)))
  const [loaded, returned] = await Promise.all([loading, mishaps])
  audience.happened(elapsed(), `${load.program} has ended`)

  const checks: Check[] = [
    {
      ok: loaded.errors.length === 0,
      text: `${load.program}: ${loaded.writes} writes, ${loaded.reads} reads checked, ${loaded.errors.join('; ') || 'no error'}`,
    },
  ]
  if (typeof returned === 'string') checks.push({ ok: false, text: `what should go wrong did not: ${returned}` })
  else {
    const later = pathsAt(running, HUNG_PORT).reduce((ios, path) => ios + path.ios, -returned)
    checks.push({ ok: later > 0, text: `restored paths: ${later} I/Os after their return` })
  }
  for (const [index, source] of exports.entries()) {
    const seen = await hashExport(reader, source, folder, signal)
    const sha256 = hashMemory(array, index, size)
    const ok = seen.sha256 === sha256 && seen.bytes === size
    const equal = ok ? 'as in the array' : `but ${sha256.slice(0, 8)} in the array`
    const what = `${source.name}: ${reader.program} read ${formatSize(seen.bytes)}`
    checks.push({ ok, text: `${what}, SHA-256 ${seen.sha256.slice(0, 8)}, ${equal}` })
  }
  const paths = running.agent.pairs.flatMap((pair) =>
    pair.paths.map(({ id, address, ios, retries, state }) => ({
      pair: pair.id,
      path: address.replace(/^.* (?=port )/, ''),
      ios,
      moved: retries,
      state,
      story: histories.of(pair.id, id),
    })),
  )
  return { ok: checks.every(({ ok }) => ok), seconds: elapsed(), load: load.program, paths, checks }
}
