import { describe, expect, test } from 'vitest'
import type { OfferedPath, PathInfo, VolumeId } from '../src/index.ts'
import { createHostAgent, isVolumeId, joinPaths, joinRules, madeByDefault } from '../src/index.ts'
import { FakeTarget, LIMITS } from './support/fake-target.ts'

const UNIQUE: VolumeId = 'naa.6001405000000000000000000000abcd'
const TGT: VolumeId = 'naa.60000000000000000e00000000010001'

function path(id: string, more: Partial<PathInfo> = {}, target = 'target'): OfferedPath {
  const info = { id, address: `${id}-portal`, volume: UNIQUE, size: 2 ** 20, blockSize: 512, ...more }
  return { target: { name: target }, info }
}

/** Ids of the paths by volume, and what was said. */
function joined(
  sources: readonly OfferedPath[],
  same: readonly (readonly string[])[] = [],
  distinct: readonly (readonly string[])[] = [],
  open?: ReadonlyMap<string, ReadonlySet<string>>,
) {
  const { volumes, errors } = joinPaths(sources, joinRules(same, distinct), open)
  const ids = Object.fromEntries([...volumes].map(([volume, all]) => [volume, all.map(({ info }) => info.id)]))
  return { ids, errors: errors.map(({ error }) => error.message) }
}

const together = { ids: { [UNIQUE]: ['a', 'b'] }, errors: [] }

describe('paths of one identity', () => {
  test.each<[string, Partial<PathInfo>, Partial<PathInfo>]>([
    ['that tell nothing else', {}, {}],
    ['where one does not tell its size, as in standby', {}, { size: 0, blockSize: 4096 }],
    ['where one does not tell its product and serial number', { product: 'ACME disk', serial: '1' }, {}],
    ['with equal products and serial numbers', { product: 'A', serial: '1' }, { product: 'A', serial: '1' }],
    ['with one LUN of one target', { endpoint: 'iqn.a', lun: '1' }, { endpoint: 'iqn.a', lun: '1' }],
    ['with LUNs of two targets', { endpoint: 'iqn.a', lun: '1' }, { endpoint: 'iqn.b', lun: '2' }],
    ['with two LUNs that count nobody knows where', { lun: '1' }, { lun: '2' }],
    ['of two systems, where the identity is nobody’s default', { system: 'a' }, { system: 'b' }],
    [
      'over two protocols, each with its own product and serial number',
      { protocol: 'scsi', product: 'ACME disk', serial: '1', endpoint: 'iqn.a', lun: '0' },
      { protocol: 'nvme', product: 'ACME controller', serial: '2', endpoint: 'nqn.a', lun: '1' },
    ],
  ])('%s are joined', (_what, one, other) => {
    expect(joined([path('a', one), path('b', other)])).toEqual(together)
  })

  test.each<[string, Partial<PathInfo>, Partial<PathInfo>, string]>([
    ['other sizes', { size: 64 * 2 ** 20 }, { size: 32 * 2 ** 20 }, 'their sizes are 67108864 and 33554432 bytes'],
    ['other block sizes', { blockSize: 512 }, { blockSize: 4096 }, 'their blocks are of 512 and 4096 bytes'],
    [
      'other vendors',
      { product: 'ACME disk' },
      { product: 'IET disk' },
      'their products are "ACME disk" and "IET disk"',
    ],
    ['other serial numbers', { serial: '1' }, { serial: '2' }, 'their serial numbers are "1" and "2"'],
    [
      'other serial numbers by one protocol',
      { protocol: 'nvme', serial: '1' },
      { protocol: 'nvme', serial: '2' },
      'their serial numbers are "1" and "2"',
    ],
    [
      'other serial numbers, where one does not tell its protocol',
      { protocol: 'nvme', serial: '1' },
      { serial: '2' },
      'their serial numbers are "1" and "2"',
    ],
    [
      'other block sizes over two protocols',
      { protocol: 'scsi', blockSize: 512 },
      { protocol: 'nvme', blockSize: 4096 },
      'their blocks are of 512 and 4096 bytes',
    ],
    [
      'two LUNs of one target',
      { endpoint: 'iqn.a', lun: '1' },
      { endpoint: 'iqn.a', lun: '2' },
      'they are lun 1 and lun 2 of iqn.a; distinct: [[iqn.a/lun1, iqn.a/lun2]]',
    ],
  ])('with %s are not', (_what, one, other, why) => {
    const { ids, errors } = joined([path('a', one), path('b', other)])
    expect(ids).toEqual({})
    expect(errors).toHaveLength(1)
    expect(errors[0]).toContain(`paths a and b say that they lead to ${UNIQUE}, and are not joined: ${why}`)
    expect(errors[0]).toContain('distinct: [[')
  })

  test('one that does not fit leaves none of them, since nobody knows which is meant', () => {
    const { ids, errors } = joined([path('a'), path('b'), path('c', { serial: '7' }), path('d', { serial: '8' })])
    expect(ids).toEqual({})
    expect(errors).toHaveLength(1)
    expect(errors[0]).toContain('paths c and d')
  })

  test('a device that is open keeps its paths, and takes those that fit', () => {
    const all = [path('x', { size: 512 }), path('a'), path('b'), path('c')]
    const { ids, errors } = joined(all, [], [], new Map([[UNIQUE, new Set(['a', 'b'])]]))
    expect(ids).toEqual({ [UNIQUE]: ['a', 'b', 'c'] })
    expect(errors).toHaveLength(1)
    expect(errors[0]).toContain('paths a and x')
  })
})

describe('an identity that target software makes by default', () => {
  test.each<[string, VolumeId, string?]>([
    ['tgt', TGT],
    ['tgt', 'naa.60000000000000000e00000000120063'],
    ['tgt', 'naa.3000000100000002'],
    ['tgt', 't10.IET     00010001'],
    ['tgt', 'naa.60000000000000000000000000000ab1', 'IET VIRTUAL-DISK'],
    ['gotgt', 't10.GOSTOR    11'],
    // "Malloc0" as SPDK folds it.
    ['SPDK', 'naa.2a600003470001c5'],
    ['SPDK', 't10.INTEL   Malloc disk     Malloc0'],
    ['SCST', 'eui.3465366131623263'],
    ['SCST', 't10.SCST_BIO 4e6a1b2c-disk1'],
    ['CTL', 't10.FREEBSD MYDEVID   3'],
    ['CTL', 'serial.FREEBSD CTLDISK         MYSERIAL0001'],
    ['istgt', 'naa.5acde48200012345'],
  ])('of %s is known: %s', (maker, volume, product) => {
    expect(isVolumeId(volume)).toBe(true)
    expect(madeByDefault({ volume, ...(product === undefined ? {} : { product }) })).toBe(maker)
  })

  test.each<VolumeId>([
    UNIQUE,
    'naa.60000000000000000000000000000001',
    'naa.600144f0c73ff10000005a1b2c3d0001',
    'naa.3aaaaaaaaaaaaaaa',
    'eui.0025385b71b06d2f',
    'uuid.01234567-89ab-cdef-0123-456789abcdef',
    't10.ATA     disk 0001',
  ])('is not %s', (volume) => {
    expect(madeByDefault({ volume })).toBeUndefined()
  })

  const at = (id: string, system?: string, target?: string) =>
    path(id, { volume: TGT, endpoint: `iqn.${id}`, lun: '1', ...(system === undefined ? {} : { system }) }, target)

  test('is joined inside of one system', () => {
    expect(joined([at('a', 's'), at('b', 's')])).toEqual({ ids: { [TGT]: ['a', 'b'] }, errors: [] })
    expect(joined([at('a'), at('b')])).toEqual({ ids: { [TGT]: ['a', 'b'] }, errors: [] })
  })

  test.each([
    ['two systems', at('a', 's'), at('b', 't')],
    ['two targets that tell no system', at('a', undefined, 'one'), at('b', undefined, 'two')],
  ])('is not joined across %s, and both cures are named', (_what, one, other) => {
    const { ids, errors } = joined([one, other])
    expect(ids).toEqual({})
    expect(errors).toHaveLength(1)
    expect(errors[0]).toContain('tgt gives this identity to a volume of every installation')
    expect(errors[0]).toContain('distinct: [[iqn.a/lun1, iqn.b/lun1]] in the config makes them two volumes')
    expect(errors[0]).toContain('same: [[iqn.a/lun1, iqn.b/lun1]] one')
  })

  test.each([[[[TGT]]], [[['iqn.a/lun1', 'iqn.b/lun1']]], [[['a-portal', 'b-portal']]], [[['a', 'b']]]])(
    'is joined where the config says same: %j',
    (same) => {
      expect(joined([at('a', 's'), at('b', 't')], same).ids).toEqual({ [TGT]: ['a', 'b'] })
    },
  )

  test.each([[[['iqn.a/lun1', 'iqn.b/lun1']]], [[['iqn.a', 'iqn.b']]], [[['a-portal', 'b-portal']]], [[['a', 'b']]]])(
    'is two volumes where the config says distinct: %j',
    (distinct) => {
      const { ids, errors } = joined([at('a', 's'), at('b', 't')], [], distinct)
      const [one, other] = distinct[0] as [string, string]
      expect(ids).toEqual({ [`serial.${TGT}@${one}`]: ['a'], [`serial.${TGT}@${other}`]: ['b'] })
      for (const id of Object.keys(ids)) expect(isVolumeId(id)).toBe(true)
      expect(errors).toEqual([])
      // The name is the same whoever is there.
      expect(Object.keys(joined([at('a', 's')], [], distinct).ids)).toEqual([`serial.${TGT}@${one}`])
    },
  )
})

describe('same', () => {
  const nvme: VolumeId = 'uuid.01234567-89ab-cdef-0123-456789abcdef'

  test('joins volumes of two identities under the first, whatever their products', () => {
    const all = [path('a', { product: 'A', serial: '1' }), path('b', { volume: nvme, product: 'B', serial: '2' })]
    expect(joined(all, [[nvme, UNIQUE]])).toEqual({ ids: { [nvme]: ['a', 'b'] }, errors: [] })
  })

  test('does not join what has another size', () => {
    const { ids, errors } = joined([path('a'), path('b', { volume: nvme, size: 512 })], [[nvme, UNIQUE]])
    expect(ids).toEqual({})
    expect(errors[0]).toContain(`lead to ${UNIQUE} and ${nvme}, and are not joined: their sizes`)
    expect(errors[0]).not.toContain('same:')
  })
})

describe('distinct', () => {
  const two = (lun: string, portal: string) => path(`${lun}@${portal}`, { endpoint: 'iqn.a', lun, address: portal })

  test('splits two LUNs of one target over all portals', () => {
    const all = [two('1', 'p'), two('2', 'p'), two('1', 'q'), two('2', 'q')]
    const { ids, errors } = joined(all, [], [['iqn.a/lun1', 'iqn.a/lun2']])
    expect(Object.values(ids)).toEqual([
      ['1@p', '1@q'],
      ['2@p', '2@q'],
    ])
    expect(errors).toEqual([])
    // By the paths of one portal: those of the other go along.
    expect(Object.values(joined(all, [], [['1@p', '2@p']]).ids)).toEqual(Object.values(ids))
  })

  test('leaves out what is at none of its places, and says so', () => {
    const { ids, errors } = joined([path('a'), path('b'), path('c')], [], [['a', 'b']])
    expect(Object.values(ids)).toEqual([['a'], ['b']])
    expect(errors).toEqual([expect.stringContaining('path c says that it leads to')])
  })

  test('gives identities that are valid however long the place is', () => {
    const long = (letter: string) => `iqn.2026-11.io.blockbraid:${'x'.repeat(190)}${letter}`
    const ends = ['a', 'b'].map((letter) => path(letter, { endpoint: long(letter), lun: '0' }))
    const ids = Object.keys(joined(ends, [], [[long('a'), long('b')]]).ids)
    expect(new Set(ids).size).toBe(2)
    for (const id of ids) expect(isVolumeId(id)).toBe(true)
  })
})

test.each<[string, readonly (readonly string[])[], readonly (readonly string[])[], string]>([
  ['an empty list', [[]], [], 'same[0] must be a list of at least one text'],
  ['identities beside places', [[UNIQUE, 'a']], [], 'same[0] has identities and places'],
  ['one place', [['a']], [], 'same[0] has one place, a; it must have at least two'],
  ['an identity in two lists', [[UNIQUE], [UNIQUE]], [], `same names ${UNIQUE} twice`],
  ['an identity that is distinct', [], [[UNIQUE, 'a']], `distinct[0] has the identity ${UNIQUE}; it must be places`],
  ['a place twice', [], [['a', 'a']], 'distinct[0] names a twice'],
])('the agent refuses %s', (_what, same, distinct, message) => {
  expect(() => createHostAgent({ targets: [], same, distinct })).toThrow(message)
})

describe('an agent', () => {
  const colliding = (more: Partial<PathInfo>) => {
    const targets = [new FakeTarget(1, 'one', TGT), new FakeTarget(1, 'two', TGT)]
    targets[1]!.infos = targets[1]!.infos.map((info) => ({ ...info, ...more }))
    return targets
  }

  test('offers no volume that is not plausible, says why, and still offers each path alone', async () => {
    await using agent = createHostAgent({ targets: colliding({ size: 512 }) })
    const { errors } = await agent.rescan()
    expect(errors).toMatchObject([{ target: 'two', volume: TGT, error: { code: 'MISMATCH' } }])
    expect(agent.devices().map(({ id }) => id)).toEqual(['one:0', 'two:0'])
    await expect(agent.open(TGT)).rejects.toMatchObject({ code: 'MISMATCH', message: errors[0]!.error.message })
    await using alone = await agent.open('one:0')
    expect(alone.limits.size).toBe(LIMITS.size)
  })

  test('opens both of two volumes that the config tells apart', async () => {
    const targets = colliding({})
    await using agent = createHostAgent({ targets, distinct: [['one:0', 'two:0']] })
    expect((await agent.rescan()).errors).toEqual([])
    const volumes = agent.devices().filter(({ kind }) => kind === 'multipath')
    expect(volumes.map(({ paths }) => paths)).toEqual([['one:0'], ['two:0']])
    await using first = await agent.open(volumes[0]!.id)
    await using second = await agent.open(volumes[1]!.id)
    const natives = agent.devices().filter(({ kind }) => kind === 'native')
    expect(natives.map(({ volume }) => volume)).toEqual(volumes.map(({ id }) => id))
    expect([...targets[0]!.connects, ...targets[1]!.connects]).toEqual(['one:0', 'two:0'])
    expect(first.limits.size + second.limits.size).toBe(2 * LIMITS.size)
  })

  test('keeps a device that is open when another disk of its identity comes, and does not add that', async () => {
    const targets = [new FakeTarget(2, 'one', TGT), new FakeTarget(0, 'two', TGT)]
    await using agent = createHostAgent({ targets })
    await using device = await agent.open(TGT)
    targets[1]!.infos = new FakeTarget(1, 'two', TGT).infos
    const { errors } = await agent.rescan()
    expect(errors).toMatchObject([{ volume: TGT }])
    expect(agent.devices().find(({ id }) => id === TGT)?.paths).toEqual(['one:0', 'one:1'])
    expect(targets[1]!.connects).toEqual([])
    expect(device.limits.size).toBe(LIMITS.size)
  })
})
