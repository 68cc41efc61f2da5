import type { DeviceInfo } from '@blockbraid/core'
import { describe, expect, it } from 'vitest'
import type { DeviceConfig } from '../src/config/config.ts'
import { fillInAll } from '../src/config/placeholders.ts'
import { notFound, planPairs } from '../src/plan/pairing.ts'
import type { OtherNode, Present } from '../src/plan/plan.ts'
import type { NameRecord } from '../src/state/name-record.ts'

const multipath = (id: DeviceInfo['volume'], more: Partial<DeviceInfo> = {}): DeviceInfo => ({
  kind: 'multipath',
  id,
  volume: id,
  size: 4096,
  blockSize: 4096,
  paths: [`${id}/0`],
  addresses: ['0'],
  product: '',
  ...more,
})
const native = (id: DeviceInfo['volume']): DeviceInfo => ({ ...multipath(id), kind: 'native', id: `${id}/0` })
const found = [native('t10.a b/c'), native('eui.b'), multipath('t10.a b/c'), multipath('eui.b')]
const entry = (volume: string, name: string, more: Partial<DeviceConfig> = {}): DeviceConfig => ({
  volume,
  name,
  transport: { use: 'nbd', options: {} },
  at: 'bb.yaml:5:5',
  ...more,
})
const record = (volume: string, name: string, template = name, n: number | null = null): NameRecord => {
  const place = { control: '/c.sock', folder: '/etc' }
  return { name, template, n, volume, since: '2026-11-20T01:02:03.000Z', seen: '2026-11-24T01:02:03.000Z', ...place }
}
const left = (name: string, volume: string, served = false): OtherNode => ({ node: '/dev/nbd0', name, volume, served })

function plan(configs: DeviceConfig[], present: Partial<Present> = {}, devices: readonly DeviceInfo[] = found) {
  const { pairs, refusals } = planPairs(devices, configs, {
    paired: new Map(),
    pairs: [],
    nodes: [],
    names: [],
    forget: ({ name }) => `forget ${name}`,
    ...present,
  })
  return {
    names: pairs.map(({ device, name }) => [device.id, name]),
    claims: pairs.map(({ claim }) => claim),
    refused: refusals.map(({ message }) => message),
  }
}
const names = (configs: DeviceConfig[], present: Partial<Present> = {}, devices?: readonly DeviceInfo[]) => {
  const planned = plan(configs, present, devices)
  expect(planned.refused).toEqual([])
  return planned.names
}
const both = (...texts: string[]) => found.slice(2).map(({ id }, index) => [id, texts[index]])

describe('pairing', () => {
  it('takes every volume for *, each once, as a multipath device', () => {
    expect(names([entry('*', 'vol-{n}')])).toEqual(both('vol-0', 'vol-1'))
  })

  it('leaves to * what no other entry names, wherever that stands', () => {
    expect(names([entry('*', 'all-{n}'), entry('eui.b', 'b')])).toEqual([
      ['t10.a b/c', 'all-0'],
      ['eui.b', 'b'],
    ])
  })

  it('pairs a native device by its path id', () => {
    expect(names([entry('eui.b/0', 'one')])).toEqual([['eui.b/0', 'one']])
  })

  it('spells identity, serial number and LUN so that they can be a name', () => {
    expect(names([entry('*', '{volume}')])).toEqual(both('t10.a_b_c', 'eui.b'))
    const device = multipath('eui.b', { serial: 'S 1/2', lun: '3' })
    expect(names([entry('*', 'disk-{serial}-{lun}')], {}, [device])).toEqual([['eui.b', 'disk-S_1_2-3']])
  })

  it('refuses a placeholder that a volume cannot fill in, and pairs the others', () => {
    const devices = [multipath('eui.a'), multipath('eui.b', { serial: 'S1', lun: '0' })]
    for (const more of [{ name: '{serial}' }, { name: 'x', transport: { use: 'nbd', options: { a: ['{serial}'] } } }]) {
      const { names: made, refused } = plan([entry('*', '', more)], {}, devices)
      expect(made.map(([id]) => id)).toEqual(['eui.b'])
      expect(refused).toEqual([
        `bb.yaml:5:5: pair ${more.name}: {serial} cannot be filled in: the paths of eui.a tell none, or not the same; use {volume}`,
      ])
    }
    expect(plan([entry('*', '{lun}')], {}, devices).refused[0]).toContain('{lun} cannot be filled in')
  })

  it('knows what is not there', () => {
    expect(notFound(found, [entry('*', ''), entry('eui.b', ''), entry('eui.c', '')])).toEqual(['eui.c'])
  })

  it('fills placeholders in, in plain values only', () => {
    const live = new Map()
    const options = { socket: '/run/{name}.sock', deep: [{ a: '{n}{volume}{other}{toString}' }], port: 5, live }
    expect(fillInAll(options, { name: 'x', n: '1', volume: 'v' })).toEqual({
      socket: '/run/x.sock',
      deep: [{ a: '1v{other}{toString}' }],
      port: 5,
      live,
    })
  })
})

describe('numbers', () => {
  const all = entry('*', 'vol-{n}')

  it('are those that volumes had, whatever the order in which they are found', () => {
    const known = [record('eui.b', 'vol-0', 'vol-{n}', 0), record('t10.a b/c', 'vol-1', 'vol-{n}', 1)]
    expect(names([all], { names: known })).toEqual(both('vol-1', 'vol-0'))
    expect(names([all], { names: [record('eui.b', 'vol-5', 'vol-{n}', 5)] })).toEqual(both('vol-0', 'vol-5'))
  })

  it('of volumes that are gone are kept for them', () => {
    expect(names([all], { names: [record('eui.gone', 'vol-0', 'vol-{n}', 0)] })).toEqual(both('vol-1', 'vol-2'))
  })

  it('are counted apart for each template, and never make a name that another volume has', () => {
    const known = [record('eui.gone', 'other-0', 'other-{n}', 0), record('eui.x', 'vol-1')]
    expect(names([all], { names: known })).toEqual(both('vol-0', 'vol-2'))
    expect(names([all], { pairs: [{ name: 'vol-0', volume: 'eui.made-by-hand' }] })).toEqual(both('vol-1', 'vol-2'))
  })

  it('are kept too where only the address of an export holds them', () => {
    const counted = entry('*', '{volume}', { transport: { use: 'nbd', options: { socket: '/run/{n}.sock' } } })
    const known = [record('eui.b', 'eui.b', '{volume}', 0)]
    const { claims } = plan([counted], { names: known })
    expect(claims.map((claim) => claim?.n)).toEqual([1, 0])
  })

  it('of nodes that were left go first, and then are kept', () => {
    const numbers = (...nodes: OtherNode[]) => names([all], { nodes }).map(([, name]) => name)
    expect(numbers(left('vol-0', 'eui.b'))).toEqual(['vol-1', 'vol-0'])
    expect(numbers(left('vol-7', 't10.a b/c'))).toEqual(['vol-7', 'vol-0'])
    expect(numbers(left('vol-0', 'eui.gone'))).toEqual(['vol-1', 'vol-2'])
    expect(numbers(left('other-0', 'eui.b'))).toEqual(['vol-0', 'vol-1'])
    // Two nodes of one volume: one of them is taken over.
    expect(numbers(left('vol-3', 'eui.b'), left('vol-2', 'eui.b'))).toEqual(['vol-0', 'vol-3'])
    const known = [record('eui.b', 'vol-0', 'vol-{n}', 0)]
    const { names: made, claims } = plan([all], { names: known, nodes: [left('vol-7', 'eui.b')] })
    expect(made).toEqual(both('vol-1', 'vol-7'))
    expect(claims[1]).toEqual({ name: 'vol-7', template: 'vol-{n}', n: 7, volume: 'eui.b' })
  })

  it('of pairs that are up or were taken down are not given again', () => {
    expect(names([all], { paired: new Map([[all, new Map([['eui.b', 0]])]]) })).toEqual([['t10.a b/c', 'vol-1']])
    expect(names([all], { paired: new Map([[all, new Map([['eui.b', 1]])]]) })).toEqual([['t10.a b/c', 'vol-0']])
  })

  it('of a node that was left under the name of another volume are refused', () => {
    const known = [record('eui.gone', 'vol-7', 'vol-{n}', 7)]
    const { names: made, refused } = plan([all], { names: known, nodes: [left('vol-7', 'eui.b')] })
    expect(made).toEqual([['t10.a b/c', 'vol-0']])
    expect(refused[0]).toContain('the name vol-7 belongs to eui.gone')
  })
})

describe('a name', () => {
  it('does not move to another volume; the others are paired', () => {
    const { names: made, refused } = plan([entry('eui.b', 'data'), entry('*', 'vol-{n}')], {
      names: [record('eui.gone', 'data')],
    })
    expect(made).toEqual([['t10.a b/c', 'vol-0']])
    expect(refused).toEqual([
      'bb.yaml:5:5: pair data: the name data belongs to eui.gone (since 2026-11-20, last paired on 2026-11-24) and is not given to eui.b: forget data lets it go',
    ])
  })

  it('that * would give to two volumes goes to the one that had it, and to none where none had it', () => {
    const one = [record('eui.b', 'data')]
    expect(plan([entry('*', 'data')], { names: one })).toMatchObject({
      names: [['eui.b', 'data']],
      refused: [expect.stringContaining('the name data belongs to eui.b')],
    })
    const why =
      'bb.yaml:5:5: pair data: two devices would be named data, t10.a b/c and eui.b: put {n} or {volume} into the name'
    expect(plan([entry('*', 'data')])).toMatchObject({ names: [], refused: [why, why] })
    expect(plan([entry('eui.b', 'data')], { pairs: [{ name: 'data', volume: 't10.a b/c' }] }).refused).toEqual([why])
  })

  it('that is spelt alike for two identities costs only those two', () => {
    const devices = [multipath('t10.a b'), multipath('t10.a/b'), multipath('eui.b')]
    const { names: made, refused } = plan([entry('*', '{volume}')], {}, devices)
    expect(made).toEqual([['eui.b', 'eui.b']])
    expect(refused[0]).toBe(
      'bb.yaml:5:5: pair t10.a_b: two devices would be named t10.a_b, t10.a b and t10.a/b: give each an entry with a name of its own',
    )
    expect(refused).toHaveLength(2)
  })

  it('under which a node of another volume was left, or is served, is refused until that node is gone', () => {
    expect(plan([entry('eui.b', 'data')], { nodes: [left('data', 'eui.gone')] }).refused).toEqual([
      'bb.yaml:5:5: pair data: data is /dev/nbd0, which was left for eui.gone: "blockbraid down data" ends that',
    ])
    expect(plan([entry('eui.b', 'data')], { nodes: [left('data', 'eui.x', true)] }).refused).toEqual([
      'bb.yaml:5:5: pair data: data is /dev/nbd0, which another process serves for eui.x: "blockbraid down data" ends that',
    ])
  })

  it('is kept unless it is that of the volume itself', () => {
    expect(plan([entry('*', '{volume}')]).claims).toEqual([
      { name: 't10.a_b_c', template: '{volume}', n: null, volume: 't10.a b/c' },
      undefined,
    ])
    expect(plan([entry('eui.b', 'data')]).claims).toEqual([
      { name: 'data', template: 'data', n: null, volume: 'eui.b' },
    ])
  })

  it('cannot be given while what is kept cannot be read, but to a node that was left under it', () => {
    const configs = [entry('*', 'vol-{n}'), entry('eui.b/0', '{volume}', { shared: true })]
    const { names: made, refused } = plan(configs.slice(0, 1), {
      names: new Error('the disk is full'),
      nodes: [left('vol-3', 'eui.b')],
    })
    expect(made).toEqual([['eui.b', 'vol-3']])
    expect(refused).toEqual(['bb.yaml:5:5: pair vol-0: the disk is full'])
    expect(names(configs.slice(1), { names: new Error('the disk is full') })).toEqual([['eui.b/0', 'eui.b']])
  })
})

describe('a volume', () => {
  const why = (what: string) =>
    `bb.yaml:9:5: pair one: it leads to eui.b, which ${what}: keep one of them, or put "shared: true" into both entries`
  const all = entry('*', '{volume}')
  const one = entry('eui.b/0', 'one', { at: 'bb.yaml:9:5' })

  it('is not paired under two names, by an entry and by that of a path of it, unless both say so', () => {
    expect(plan([all, one])).toMatchObject({
      names: both('t10.a_b_c', 'eui.b'),
      refused: [why('the entry * takes (bb.yaml:5:5)')],
    })
    for (const [first, second] of [
      [true, false],
      [false, true],
    ])
      expect(plan([entry('*', '{volume}', { shared: first! }), { ...one, shared: second! }]).refused).toHaveLength(1)
    const shared = [entry('*', '{volume}', { shared: true }), { ...one, shared: true }]
    expect(names(shared)).toEqual([...both('t10.a_b_c', 'eui.b'), ['eui.b/0', 'one']])
  })

  it('that is paired is not paired again, by a rescan or beside a pair made by hand', () => {
    const pairs = [{ name: 'eui.b', volume: 'eui.b', config: all }]
    const paired = new Map([[all, new Map([['eui.b', null]])]])
    expect(plan([all, one], { pairs, paired }).refused).toEqual([why('pair eui.b has (bb.yaml:5:5)')])
    const byHand = [{ name: 'mine', volume: 'eui.b' }]
    expect(plan([one], { pairs: byHand }).refused).toEqual([why('pair mine has')])
    expect(names([{ ...one, shared: true }], { pairs: byHand })).toEqual([['eui.b/0', 'one']])
  })

  it('named twice by a program is refused as by a file', () => {
    const twice = [entry('eui.b', 'a'), entry('eui.b', 'one', { at: 'bb.yaml:9:5' })]
    expect(plan(twice)).toMatchObject({
      names: [['eui.b', 'a']],
      refused: [why('the entry eui.b takes (bb.yaml:5:5)')],
    })
    expect(plan([entry('*', 'a-{n}'), entry('*', 'b-{n}')]).names).toEqual(both('a-0', 'a-1'))
  })

  it('that another process serves under another name is refused unless it is shared', () => {
    const nodes = [left('other', 'eui.b', true)]
    expect(plan([one], { nodes }).refused).toEqual([
      'bb.yaml:9:5: pair one: another process serves eui.b already, as other on /dev/nbd0: keep one, or put "shared: true" into the entry',
    ])
    expect(names([{ ...one, shared: true }], { nodes })).toEqual([['eui.b/0', 'one']])
    // Under the same name it is about to hand over, or the attach says what is wrong.
    expect(names([one], { nodes: [left('one', 'eui.b', true)] })).toEqual([['eui.b/0', 'one']])
  })
})
