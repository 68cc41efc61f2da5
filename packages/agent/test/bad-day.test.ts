import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Emitter, Target, Transport } from '@blockbraid/core'
import { BlockError, createEmitter } from '@blockbraid/core'
import type { MemoryArray } from '@blockbraid/target-memory'
import { createMemoryArray, memory } from '@blockbraid/target-memory'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { callControl } from '../src/control/client.ts'
import type { Config, RunningAgent } from '../src/index.ts'
import { runAgent } from '../src/index.ts'
import type { Listing } from '../src/snapshot/listing.ts'
import { given } from './fixtures/given.ts'
import type { InProcess } from './fixtures/terminal.ts'
import { begin, fakeNodes, run } from './fixtures/terminal.ts'

// This process shall not be the one that is protected.
vi.mock('../src/nodes/protect.ts', () => ({ protectProcess: vi.fn(async () => {}) }))

const LONG = { timeout: 20_000 }
const plugin = fileURLToPath(new URL('fixtures/given.ts', import.meta.url))
let folder: string
let control: string
let agents: InProcess[]

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bb-bad-'))
  control = join(folder, 'control.sock')
  agents = []
})
afterEach(async () => {
  for (const agent of agents) {
    agent.interrupt()
    await agent.ended
  }
  given.clear()
  await rm(folder, { recursive: true })
})

/** A target on an array, of which paths refuse, are slow to open, or cannot be asked for. */
interface Sick extends Target {
  readonly array: MemoryArray
  connects: 'well' | 'refuse' | 'hang'
  answers: boolean
}

function sick(name: string, volumes = 1): Sick {
  const array = createMemoryArray({
    name,
    volumes: Array.from({ length: volumes }, () => ({ size: '1MiB' })),
    ports: 1,
  })
  const inner = memory({ array })
  const target: Sick = {
    name,
    array,
    connects: 'well',
    answers: true,
    events: inner.events!,
    async discover(options) {
      if (!target.answers) throw new BlockError('CONNECT_FAILED', 'connection refused')
      return inner.discover(options)
    },
    async connect(info, options = {}) {
      if (target.connects === 'refuse') throw new BlockError('CONNECT_FAILED', 'connection refused')
      if (target.connects === 'hang') {
        await new Promise((_, reject) => options.signal?.addEventListener('abort', () => reject(new Error('late'))))
      }
      return inner.connect(info, options)
    },
    close: (options) => inner.close(options),
  }
  given.set(name, target)
  return target
}

interface Losing extends Transport {
  readonly log: string[]
  readonly events: Map<string, Emitter<{ lost: Error }>>
}

function losing(): Losing {
  const transport: Losing = {
    name: 'losing',
    log: [],
    events: new Map(),
    async attach(_device, { name }) {
      const events = createEmitter<{ lost: Error }>()
      transport.log.push(`attach ${name}`)
      transport.events.set(name, events)
      const detach = async ({ mode }: { mode?: string | undefined } = {}): Promise<void> => {
        transport.log.push(`${mode ?? 'clean'} ${name}`)
      }
      return { node: `lost:${name}`, events, resize: async () => {}, detach }
    },
    close: async () => {},
  }
  given.set('losing', transport)
  return transport
}

const configOf = (...targets: Sick[]): Config => ({
  folder,
  control,
  targets: targets.map(({ name }) => ({ use: plugin, options: { given: name } })),
  devices: [{ volume: '*', name: 'vol-{n}', transport: { use: plugin, options: { given: 'losing' } } }],
})

const names = ({ agent }: RunningAgent): string[] => agent.pairs.map(({ id }) => id)
const listing = () => callControl(control, { op: 'ls' }) as Promise<Listing>
const remote = (...args: string[]) => run(folder, ...args, '--control', control)

describe('up', () => {
  it('starts with what is there; an absent array is shown, looked for, and paired when it comes', async () => {
    losing()
    const [well, absent] = [sick('a'), sick('b')]
    absent.answers = false
    const lines: string[] = []
    await using running = await runAgent(configOf(well, absent), { report: (line) => lines.push(line) })
    expect(names(running)).toEqual(['vol-0'])
    const { missing } = await listing()
    const since = expect.stringMatching(/^\d{4}-.*Z$/)
    expect(missing).toEqual([{ what: 'target b', why: 'connection refused', since }])
    expect((await remote('ls')).out).toMatch(/\nmissing: target b: connection refused \(since \d+ s\)\n$/)
    absent.answers = true
    await expect.poll(() => names(running), LONG).toEqual(['vol-0', 'vol-1'])
    expect(await listing()).not.toHaveProperty('missing')
    expect(lines).toEqual(['target b: connection refused', 'rescan: 1 paths came, 0 went'])
  })

  it('says once which volume cannot be opened, and makes its pair when it can', async () => {
    losing()
    const [well, refusing] = [sick('a'), sick('b')]
    refusing.connects = 'refuse'
    const lines: string[] = []
    await using running = await runAgent(configOf(well, refusing), { report: (line) => lines.push(line) })
    expect(names(running)).toEqual(['vol-0'])
    const line = expect.stringMatching(
      /^pair vol-1: no path to volume naa\.\w+ could be opened \(.*connection refused\)$/,
    )
    expect(lines).toEqual([line])
    expect((await listing()).missing).toEqual([{ what: 'pair vol-1', why: line, since: expect.anything() }])
    expect((await running.rescan()).errors).toEqual([line])
    refusing.connects = 'well'
    await expect.poll(() => names(running), LONG).toEqual(['vol-0', 'vol-1'])
    await expect.poll(() => lines, LONG).toEqual([line, 'vol-1 is up: lost:vol-1'])
  })

  it('does not wait for volumes that hang, and they not for each other', async () => {
    losing()
    const [well, hanging] = [sick('a', 3), sick('b', 40)]
    hanging.connects = 'hang'
    const lines: string[] = []
    await using running = await runAgent(configOf(hanging, well), { report: (line) => lines.push(line) })
    expect(names(running)).toEqual(['vol-40', 'vol-41', 'vol-42'])
    const long = [0, 1, 2].map((n) => `pair vol-${n}: its volume takes long to open`)
    expect(lines).toEqual(long)
    await expect.poll(() => lines[3], LONG).toMatch(/^37 more pairs are not up \(vol-3, vol-4, /)
    hanging.connects = 'well'
    await expect.poll(() => names(running).length, { timeout: 25_000 }).toBe(43)
  }, 40_000)

  it('waits for nodes that take long to make, as it is the host that makes them, and for none of a volume that hangs', async () => {
    const transport = losing()
    const { attach } = transport
    let turn: Promise<unknown> = Promise.resolve()
    transport.attach = (device, options) => {
      const made = turn.then(() => new Promise((resolve) => setTimeout(resolve, 1800)))
      turn = made
      return made.then(() => attach(device, options))
    }
    const [well, hanging] = [sick('a', 3), sick('b', 1)]
    hanging.connects = 'hang'
    await using running = await runAgent(configOf(well, hanging), { report: () => {} })
    expect(names(running)).toEqual(['vol-0', 'vol-1', 'vol-2'])
  }, 20_000)

  it('ends with the reason where nothing at all can be served', async () => {
    losing()
    const refusing = sick('a')
    refusing.connects = 'refuse'
    await expect(runAgent(configOf(refusing))).rejects.toThrow(/^pair vol-0: no path to volume .*connection refused/)
    refusing.answers = false
    await expect(runAgent(configOf(refusing))).rejects.toThrow('target a: connection refused')
  })
})

describe('a pair whose node was taken away', () => {
  it('is made again by itself, under its name, and says so', async () => {
    const transport = losing()
    const lines: string[] = []
    await using running = await runAgent(configOf(sick('a')), { report: (line) => lines.push(line) })
    const first = running.find('vol-0')
    transport.events.get('vol-0')!.emit('lost', new Error('/dev/x was removed'))
    expect(first.state).toBe('lost')
    expect((await remote('ls')).out).toContain('LOST, its node was taken away')
    await expect.poll(() => running.agent.pairs.map(({ state }) => state), LONG).toEqual(['active'])
    expect(running.find('vol-0')).not.toBe(first)
    expect(transport.log).toEqual(['attach vol-0', 'force vol-0', 'attach vol-0'])
    expect(lines).toEqual(['vol-0: lost: /dev/x was removed', 'vol-0 is up: lost:vol-0'])
  })

  it('is made again at once where that is asked for, and not after it was taken down', async () => {
    const transport = losing()
    await using running = await runAgent(configOf(sick('a')))
    transport.events.get('vol-0')!.emit('lost', new Error('gone'))
    expect(await remote('pair', 'vol-0')).toEqual({ code: 0, out: 'vol-0 is up: lost:vol-0\n', err: '' })
    transport.events.get('vol-0')!.emit('lost', new Error('gone'))
    expect(await remote('down', 'vol-0')).toMatchObject({ code: 0 })
    const { length } = transport.log
    await new Promise((resolve) => setTimeout(resolve, 1500))
    expect([names(running), transport.log.length]).toEqual([[], length])
  })
})

describe('pair', () => {
  it('makes a pair again that was taken down', async () => {
    losing()
    await using running = await runAgent(configOf(sick('a', 2)))
    expect(await remote('pair', 'vol-1')).toMatchObject({
      code: 1,
      err: 'blockbraid: vol-1 is up already, on lost:vol-1\n',
    })
    await remote('down', 'vol-1')
    expect(names(running)).toEqual(['vol-0'])
    expect(await remote('pair', 'nope')).toMatchObject({
      code: 1,
      err: 'blockbraid: the config makes no pair nope of what is there; taken down are vol-1\n',
    })
    const { code, out } = await remote('pair', 'vol-1', '--json')
    expect([code, JSON.parse(out)]).toEqual([0, { pair: 'vol-1', node: 'lost:vol-1' }])
    expect(names(running)).toEqual(['vol-0', 'vol-1'])
  })

  it('says why it cannot be made, and leaves it down', async () => {
    losing()
    const target = sick('a')
    await using running = await runAgent(configOf(target))
    await remote('down', 'vol-0')
    target.connects = 'refuse'
    expect(await remote('pair', 'vol-0')).toMatchObject({ code: 1, err: expect.stringContaining('connection refused') })
    target.connects = 'well'
    await running.rescan()
    expect(names(running)).toEqual([])
    expect(await remote('pair', 'vol-0')).toMatchObject({ code: 0 })
  })
})

it('down of a pair without a path says what may be lost', async () => {
  losing()
  const target = sick('a')
  await using running = await runAgent(configOf(target))
  const pair = running.find('vol-0')
  const { blockSize } = pair.user.limits
  await pair.user.write(0, new Uint8Array(blockSize))
  expect(pair.user.limits.writeCache).toBe(true)
  target.connects = 'refuse'
  target.array.portDown(0)
  await expect.poll(() => pair.state).toBe('stalled')
  const { code, out } = await remote('down', 'vol-0')
  expect(code).toBe(0)
  expect(out).toMatch(
    /^vol-0 is down; no path was usable: I\/O that waited has failed\nvol-0 is closed, and what was acknowledged and not flushed may be lost: no path is usable \(memory:a\/port0\/lun0: /,
  )
})

describe('up --take-over', () => {
  const write = (name: string): Promise<void> =>
    writeFile(
      join(folder, 'bb.yaml'),
      `control: ${control}
targets: [{ use: memory, name: ${name}, volumes: [{ size: 1MiB }, { size: 1MiB }], ports: 1 }]
devices: [{ volume: "*", name: "vol-{n}", transport: { use: ${fakeNodes('').use}, folder: ${folder}/nodes } }]
`,
    )

  it('leaves the running agent alone where what that one serves is not found from here', async () => {
    await write('one')
    const first = begin(folder, ['up', 'bb.yaml', '--json'])
    agents.push(first)
    await expect.poll(() => first.output.out, LONG).toContain('}\n')
    await write('other')
    const second = await begin(folder, ['up', '--take-over', 'bb.yaml']).ended
    expect(second).toMatchObject({ code: 1, out: '' })
    expect(second.err).toMatch(
      new RegExp(
        `^blockbraid: the agent with pid ${process.pid} keeps what it serves: no path to naa\\.\\w+ \\(pair vol-0\\) and ` +
          '1 more is found from here: no target of this config offers it; "blockbraid down vol-0" ends what shall not be ' +
          'served any more\n$',
      ),
    )
    expect((await listing()).pairs.map(({ name, state }) => [name, state])).toEqual([
      ['vol-0', 'active'],
      ['vol-1', 'active'],
    ])
    for (const name of ['vol-0', 'vol-1']) await remote('down', name)
    const third = begin(folder, ['up', '--take-over', 'bb.yaml', '--json'])
    agents.push(third)
    await expect.poll(() => third.output.out, LONG).toContain('}\n')
    expect((await first.ended).code).toBe(0)
  })
})
