import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Transport } from '@blockbraid/core'
import { createEmitter } from '@blockbraid/core'
import { createMemoryArray } from '@blockbraid/target-memory'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Config, RunningAgent } from '../src/index.ts'
import { runAgent } from '../src/index.ts'

const LONG = { timeout: 15_000 }
const reading = fileURLToPath(new URL('fixtures/reading-transport.ts', import.meta.url))
const holding = fileURLToPath(new URL('fixtures/holding-transport.ts', import.meta.url))
const deaf = fileURLToPath(new URL('fixtures/deaf-target.ts', import.meta.url))
let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bb-run-'))
})
afterEach(() => rm(folder, { recursive: true }))

const configOf = (array: unknown, device: Partial<Config['devices'][number]> = {}): Config => ({
  folder,
  targets: [{ use: 'memory', options: { array } }],
  devices: [{ volume: '*', name: 'vol-{n}', transport: { use: reading, options: { depth: 2 } }, ...device }],
})

function memoryTransport(): Transport {
  const attachment = {
    node: 'mine',
    events: createEmitter<{ lost: Error }>(),
    resize: async () => {},
    detach: async () => {},
  }
  return { name: 'mine', attach: async () => attachment, close: async () => {} }
}

describe('runAgent', () => {
  it('pairs a volume that comes later, and tells what happens', async () => {
    const array = createMemoryArray({ volumes: [{ size: '1MiB' }], ports: 2 })
    const lines: string[] = []
    await using running = await runAgent(configOf(array), { report: (line) => lines.push(line) })
    expect(running.agent.pairs.map((pair) => pair.id)).toEqual(['vol-0'])

    array.addVolume({ size: '2MiB' })
    await expect.poll(() => running.agent.pairs.map((pair) => pair.id), LONG).toEqual(['vol-0', 'vol-1'])

    array.portDown(0)
    array.portDown(1)
    await expect.poll(() => running.find('vol-0').parked, LONG).toBe(2)
    expect(lines).toContain('vol-0: stalled: no usable path, I/O waits')
    expect(lines.filter((line) => /^vol-0: path memory:array0\/port1\/lun0 is down: ./.test(line))).toHaveLength(1)
    array.portUp(1)
    await expect.poll(() => lines, LONG).toContain('vol-0: path memory:array0/port1/lun0 is up again')
    expect(lines).toContain('vol-0: resumed')

    array.grow(0, '4MiB')
    await expect.poll(() => lines, LONG).toContain(`vol-0: now has ${4 * 2 ** 20} bytes`)
    expect(() => running.find('vol-7')).toThrow('there is no pair vol-7; up are vol-0, vol-1')
  })

  it('tells of write protection of a path and of the device once, and of other limits', async () => {
    const array = createMemoryArray({ volumes: [{ size: '1MiB' }], ports: 2 })
    array.protect(0, 1, true)
    const lines: string[] = []
    await using running = await runAgent(configOf(array), { report: (line) => lines.push(line) })
    const [first, second] = ['memory:array0/port0/lun0', 'memory:array0/port1/lun0']
    const said = async (text: string): Promise<unknown> => {
      await expect.poll(() => lines, LONG).toContain(text)
      return lines.splice(0)
    }
    const stands = `vol-0: path ${second} is write protected: takes no I/O while other paths are writable`
    expect(await said(stands)).toEqual([stands])
    expect(running.find('vol-0').state).toBe('degraded')
    array.protect(0, 0, true)
    const again = `vol-0: path ${second} takes I/O again`
    expect(await said(again)).toEqual([`vol-0: now read-only: path ${first} says write protected`, again])
    array.protect(0, 'all', false)
    const writable = `vol-0: writable again (path ${first})`
    expect(await said(writable)).toEqual([writable])
    array.change(0, { trim: false, writeZeroes: false })
    expect(lines).toEqual([`vol-0: trim no longer offered, write zeroes no longer offered (path ${first})`])
    expect(running.find('vol-0').state).toBe('active')
  })

  it('rescan says that a size has changed, once, also where the agent had seen it by itself', async () => {
    const array = createMemoryArray({ volumes: [{ size: '1MiB' }], ports: 2 })
    const lines: string[] = []
    await using running = await runAgent(configOf(array), { report: (line) => lines.push(line) })
    expect(await running.rescan()).toEqual({ added: [], removed: [], paired: [], errors: [] })
    array.grow(0, '2MiB')
    await expect.poll(() => lines, LONG).toContain('rescan: 0 paths came, 0 went')
    array.grow(0, '4MiB')
    const resized = [{ name: 'vol-0', before: 2 ** 20, size: 4 * 2 ** 20 }]
    expect(await running.rescan()).toEqual({ added: [], removed: [], paired: [], errors: [], resized })
    expect(await running.rescan()).not.toHaveProperty('resized')
  })

  it('tells of a policy that fails under I/O, with its line', async () => {
    const file = join(folder, 'bad.mjs')
    await writeFile(file, "export default () => ({ name: 'bad', update() {},\n select() { throw new Error('no') } })")
    const lines: string[] = []
    const policy = { use: './bad.mjs', options: {} }
    const array = createMemoryArray({ volumes: [{ size: '1MiB' }] })
    const report = (line: string): void => void lines.push(line)
    const first = await runAgent(configOf(array, { policy }), { report })
    await first.close()
    // Its I/O began with the pair.
    expect(lines).toEqual([
      `vol-0: policy bad: select threw for a read at ${file}:2: no; the first path serves meanwhile`,
    ])
    await using second = await runAgent(configOf(array), { report })
    await second.setPolicy('vol-0', policy)
    await expect
      .poll(() => lines[1], LONG)
      .toBe(`vol-0: policy: policy bad: select threw: no; the first path is used (${file}:2)`)
  })

  it('pairs one path alone, and a volume by its identity', async () => {
    const array = createMemoryArray({ volumes: [{ size: '1MiB' }, { size: '1MiB' }], ports: 2 })
    const identity = array.volumes[1]!.id
    const config = configOf(array)
    const devices = [
      { ...config.devices[0]!, volume: 'memory:array0/port1/lun0', name: 'one' },
      { ...config.devices[0]!, volume: identity, name: 'two', policy: { use: 'round-robin', options: {} } },
      { ...config.devices[0]!, volume: 'naa.6000000000000000', name: 'later' },
    ]
    const lines: string[] = []
    await using running = await runAgent({ ...config, devices }, { report: (line) => lines.push(line) })
    expect(running.agent.pairs.map((pair) => [pair.id, pair.policy, pair.paths.map(({ id }) => id)])).toEqual([
      ['one', '', ['memory:array0/port1/lun0']],
      ['two', 'round-robin', ['memory:array0/port0/lun1', 'memory:array0/port1/lun1']],
    ])
    expect(lines).toEqual(['naa.6000000000000000 is not there yet'])
  })

  it('gives a volume its number though the target before it does not answer at the start', async () => {
    const arrays = ['a', 'b'].map((name) => createMemoryArray({ name, volumes: [{ size: '1MiB' }], ports: 1 }))
    const config: Config = {
      ...configOf(undefined),
      targets: arrays.map((array) => ({ use: 'memory', options: { array } })),
    }
    const pairs = (running: RunningAgent) =>
      Object.fromEntries(running.agent.pairs.map(({ id, volume }) => [id, volume]))
    const [a, b] = arrays.map(({ volumes }) => volumes[0]!.id)
    const kept = { ...config, state: join(folder, 'state') }
    const first = await runAgent(kept)
    expect(pairs(first)).toEqual({ 'vol-0': a, 'vol-1': b })
    await first.close()
    arrays[0]!.portDown(0)
    await using second = await runAgent(kept)
    expect(pairs(second)).toEqual({ 'vol-1': b })
    arrays[0]!.portUp(0)
    await expect.poll(() => pairs(second), LONG).toEqual({ 'vol-0': a, 'vol-1': b })
  })

  it('does not pair a volume that a program has paired by hand', async () => {
    const array = createMemoryArray({ volumes: [{ size: '1MiB' }, { size: '1MiB' }], ports: 1 })
    const [one, two] = array.volumes.map(({ id }) => id)
    const config = configOf(array, { volume: two!, name: 'two' })
    const later = { ...configOf(array).devices[0]!, volume: one!, name: 'one' }
    array.unmap(0, 'all')
    const lines: string[] = []
    await using running = await runAgent(
      { ...config, devices: [...config.devices, later] },
      { report: (line) => lines.push(line) },
    )
    // Found by nobody but the program, before the news of it come.
    array.map(0, 'all')
    const transport = memoryTransport()
    await running.agent.pair({ name: 'mine', device: 'memory:array0/port0/lun0', transport })
    const { errors } = await running.rescan()
    expect(errors).toEqual([
      `pair one: it leads to ${one}, which pair mine has: keep one of them, or put "shared: true" into both entries`,
    ])
    await expect(running.agent.pair({ name: 'again', device: 'memory:array0/port0/lun1', transport })).rejects.toThrow(
      `memory:array0/port0/lun1 leads to ${two}, which is paired already, as two`,
    )
    // Each rescan finds it again; it is told once.
    const told = (start: string) => lines.filter((line) => line.startsWith(start)).length
    await expect.poll(() => told('pair one: '), LONG).toBe(1)
    const before = told('rescan: ')
    array.grow(0, '2MiB')
    await expect.poll(() => told('rescan: '), LONG).toBeGreaterThan(before)
    array.grow(0, '3MiB')
    await expect.poll(() => told('rescan: '), LONG).toBeGreaterThan(before + 1)
    expect(told('pair one: ')).toBe(1)
  })

  it('tells a target that cannot be asked, and goes on with the others', async () => {
    const array = createMemoryArray({ volumes: [{ size: '1MiB' }] })
    const config = configOf(array)
    const lines: string[] = []
    const targets = [...config.targets, { use: deaf, options: {} }]
    await using running = await runAgent({ ...config, targets }, { report: (line) => lines.push(line) })
    expect(running.agent.pairs).toHaveLength(1)
    expect(lines).toEqual(['target deaf: nobody answers'])
    expect((await running.rescan()).errors).toEqual(['target deaf: nobody answers'])
    await expect(runAgent({ ...config, targets: targets.slice(1) })).rejects.toThrow('target deaf: nobody answers')
  })

  it('says which pair could not be made, and leaves nothing behind', async () => {
    const array = createMemoryArray({ volumes: [{ size: '1MiB' }, { size: '1MiB' }] })
    const socket = join(folder, 'nbd.sock')
    const transport = { use: 'nbd', options: { socket } }
    await using first = await runAgent(configOf(array, { transport }))
    expect(first.agent.pairs).toHaveLength(2)
    const again = runAgent({ ...configOf(array, { transport }), control: join(folder, 'control.sock') })
    await expect(again).rejects.toThrow(/^pair vol-0: .*nbd\.sock/)
    expect(await readdir(folder)).toEqual(['nbd.sock'])
  })

  it('ends a pair without a usable path at once, though its I/O might wait for long', async () => {
    const array = createMemoryArray({ volumes: [{ size: '1MiB' }], ports: 1 })
    await using running = await runAgent(configOf(array, { multipath: { noPathTimeout: 3_600_000 } }))
    array.portDown(0)
    await expect.poll(() => running.find('vol-0').parked, LONG).toBe(2)
    expect(await running.down('vol-0')).toBe(true)
    expect(running.agent.pairs).toEqual([])
    expect((await running.rescan()).paired).toEqual([])
  })

  it('ends a pair at once when it loses its last path meanwhile', async () => {
    const array = createMemoryArray({ volumes: [{ size: '1MiB' }], ports: 1 })
    await using running = await runAgent(configOf(array, { transport: { use: holding, options: {} } }))
    const ending = running.down('vol-0')
    array.portDown(0)
    expect(await ending).toBe(true)
  })

  it('rescans while a pair takes long to end', async () => {
    const array = createMemoryArray({ volumes: [{ size: '1MiB' }], ports: 1 })
    const running = await runAgent(configOf(array, { transport: { use: holding, options: {} } }))
    const ending = running.down('vol-0')
    array.addVolume({ size: '1MiB' })
    expect((await running.rescan()).added).toEqual(['memory:array0/port0/lun1'])
    expect(running.find('vol-0').state).toBe('closed')
    await running.close({ signal: AbortSignal.abort() }).catch(() => {})
    await ending.catch(() => {})
  })

  it('says where the config has the pair that could not be made', async () => {
    const array = createMemoryArray({ volumes: [{ size: '1MiB' }] })
    const transport = { use: 'nbd', options: { socket: folder } }
    const starting = runAgent(configOf(array, { transport, at: 'bb.yaml:7:5' }))
    await expect(starting).rejects.toThrow(/^bb\.yaml:7:5: pair vol-0: ./)
    const later = createMemoryArray({ volumes: [], ports: 1 })
    await using running = await runAgent(configOf(later, { transport, at: 'bb.yaml:7:5' }))
    later.addVolume({ size: '1MiB' })
    expect((await running.rescan()).errors).toEqual([expect.stringMatching(/^bb\.yaml:7:5: pair vol-0: ./)])
  })

  it('ends its start when its signal fires', async () => {
    const config = { ...configOf(undefined), targets: [{ use: deaf, options: { silent: true } }] }
    const interrupt = new AbortController()
    const starting = runAgent({ ...config, control: join(folder, 'control.sock') }, { signal: interrupt.signal })
    await expect.poll(() => readdir(folder), LONG).toEqual(['control.sock'])
    interrupt.abort()
    await expect(starting).rejects.toThrow()
    expect(await readdir(folder)).toEqual([])
  })
})
