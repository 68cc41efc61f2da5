import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { VolumeId } from '@blockbraid/core'
import type { MemoryArray, VolumeOptions } from '@blockbraid/target-memory'
import { createMemoryArray } from '@blockbraid/target-memory'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { parseConfig } from '../src/config/load.ts'
import { callControl } from '../src/control/client.ts'
import type { Config } from '../src/index.ts'
import { runAgent } from '../src/index.ts'

const reading = fileURLToPath(new URL('fixtures/reading-transport.ts', import.meta.url))
const TGT: VolumeId = 'naa.60000000000000000e00000000010001'
const PATHS = ['memory:a/port0/lun0', 'memory:b/port0/lun0'] as const
let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bb-joins-'))
})
afterEach(() => rm(folder, { recursive: true }))

function arrays(...volumes: Partial<VolumeOptions>[]): MemoryArray[] {
  return volumes.map((volume, index) =>
    createMemoryArray({ name: 'ab'[index]!, ports: 1, volumes: [{ size: '1MiB', id: TGT, ...volume }] }),
  )
}

const configOf = (all: readonly MemoryArray[], more: Partial<Config> = {}): Config => ({
  folder,
  control: join(folder, 'control.sock'),
  targets: all.map((array) => ({ use: 'memory', options: { array } })),
  devices: [{ volume: '*', name: 'vol-{n}', transport: { use: reading, options: { depth: 1 } } }],
  ...more,
})

describe('an agent over two arrays with one default identity', () => {
  it('goes on without the volume, and says why at the start and at each rescan', async () => {
    const all = arrays({}, {})
    all[0]!.addVolume({ size: '1MiB' })
    const lines: string[] = []
    await using running = await runAgent(configOf(all), { report: (line) => lines.push(line) })
    expect(running.agent.pairs.map(({ volume }) => volume)).toEqual([all[0]!.volumes[1]!.id])
    const said = `paths ${PATHS.join(' and ')} say that they lead to ${TGT}, and are not joined: tgt gives`
    expect(lines).toEqual([expect.stringContaining(said)])
    expect(lines[0]).toContain(`distinct: [[${PATHS.join(', ')}]]`)
    expect((await running.rescan()).errors).toEqual(lines)
  })

  it('starts though no volume is left', async () => {
    const all = arrays({}, {})
    for (const array of all) array.addVolume({ size: '1MiB', id: 'naa.60000000000000000e00000000010002' })
    const lines: string[] = []
    await using running = await runAgent(configOf(all), { report: (line) => lines.push(line) })
    expect(running.agent.pairs).toEqual([])
    expect(lines).toHaveLength(2)
  })

  it('pairs both where the config says distinct, one where it says same', async () => {
    {
      await using running = await runAgent(configOf(arrays({}, {}), { distinct: [PATHS] }))
      expect(running.agent.pairs.map(({ id, volume }) => [id, volume])).toEqual([
        ['vol-0', `serial.${TGT}@${PATHS[0]}`],
        ['vol-1', `serial.${TGT}@${PATHS[1]}`],
      ])
    }
    await using running = await runAgent(configOf(arrays({}, {}), { same: [[TGT]] }))
    expect(running.agent.pairs.map(({ paths }) => paths.map(({ id }) => id))).toEqual([PATHS])
  })

  it('compares them on the medium, and writes only where no pair is', async () => {
    await using running = await runAgent(configOf(arrays({}, {})))
    const socket = join(folder, 'control.sock')
    const prove = (more: { devices?: string; write?: string } = {}) =>
      callControl(socket, { op: 'prove', devices: TGT, ...more })
    expect(await prove()).toMatchObject({ result: 'equal', paths: PATHS })
    expect(await prove({ write: '4096' })).toMatchObject({ result: 'different' })
    expect(await prove({ devices: PATHS.join('\n') })).toMatchObject({ result: 'equal', paths: PATHS })
    await expect(prove({ write: '1' })).rejects.toThrow('write is 1; it must be a multiple of 4096 below 1048576')
    await expect(prove({ devices: PATHS[0] })).rejects.toThrow('name two or more to compare')
    await expect(prove({ devices: 'vol-9' })).rejects.toThrow('there is no pair, volume or path vol-9')
    await running.close()
    const array = createMemoryArray({ volumes: [{ size: '1MiB' }], ports: 2 })
    await using other = await runAgent(configOf([array]))
    expect(other.agent.pairs).toHaveLength(1)
    expect(await prove({ devices: 'vol-0' })).toMatchObject({ result: 'equal' })
    await expect(prove({ devices: 'vol-0', write: '0' })).rejects.toThrow('pair vol-0 uses it')
  })
})

describe('a config', () => {
  const text = (lines: string): string => `targets: [use: memory]
devices: [{ volume: "*", transport: { use: nbd, port: 0 } }]
${lines}
`
  it('has same and distinct', () => {
    const { same, distinct } = parseConfig(
      text('same: [[naa.6001405000000000000000000000abcd]]\ndistinct: [[a, b]]'),
      'f',
    )
    expect([same, distinct]).toEqual([[['naa.6001405000000000000000000000abcd']], [['a', 'b']]])
  })

  it.each([
    ['same: naa.1', 'f:3:7: same is "naa.1": it must be a list of lists such as'],
    ['same: [[]]', 'f:3:8: same[0] is an empty list: it must be a list of identities, or of places such as'],
    ['distinct: [[a]]', 'f:3:12: distinct[0] is a list: it must be a list of at least two places such as'],
    ['distinct: [[a, b], [c, 1]]', 'f:3:24: distinct[1][1] is 1: it must be a place such as'],
    ['distinct: [[a, b], [c, c]]', 'f:3:20: distinct[1] names c twice'],
    ['same: [[a, naa.6001405000000000000000000000abcd]]', 'f:3:8: same[0] has identities and places; it must be'],
  ])('with %s is refused', (lines, message) => {
    expect(() => parseConfig(text(lines), 'f')).toThrow(message)
  })
})
