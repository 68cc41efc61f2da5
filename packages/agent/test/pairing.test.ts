import type { DeviceInfo } from '@blockbraid/core'
import { describe, expect, it } from 'vitest'
import type { DeviceConfig } from '../src/config/config.ts'
import type { LeftNode } from '../src/pairing.ts'
import { fillInAll, notFound, planPairs } from '../src/pairing.ts'

const multipath = (id: DeviceInfo['volume']): DeviceInfo => ({
  kind: 'multipath',
  id,
  volume: id,
  size: 4096,
  blockSize: 4096,
  paths: [`${id}/0`],
  addresses: ['0'],
  product: '',
})
const native = (id: DeviceInfo['volume']): DeviceInfo => ({ ...multipath(id), kind: 'native', id: `${id}/0` })
const found = [native('t10.a b/c'), native('eui.b'), multipath('t10.a b/c'), multipath('eui.b')]
const entry = (volume: string, name: string): DeviceConfig => ({
  volume,
  name,
  transport: { use: 'nbd', options: {} },
  at: 'bb.yaml:5:5',
})
const names = (configs: DeviceConfig[], paired = new Map(), taken = new Set<string>(), left: LeftNode[] = []) =>
  planPairs(found, configs, paired, taken, left).map(({ device, name }) => [device.id, name])

describe('pairing', () => {
  it('takes every volume for *, each once, as a multipath device', () => {
    expect(names([entry('*', 'vol-{n}')])).toEqual([
      ['t10.a b/c', 'vol-0'],
      ['eui.b', 'vol-1'],
    ])
  })

  it('keeps the number of a volume whose node was left, and that of a volume that is not back yet', () => {
    const numbers = (left: LeftNode[]) =>
      names([entry('*', 'vol-{n}')], new Map(), new Set(), left).map(([, name]) => name)
    expect(numbers([{ name: 'vol-0', volume: 'eui.b' }])).toEqual(['vol-1', 'vol-0'])
    expect(numbers([{ name: 'vol-7', volume: 't10.a b/c' }])).toEqual(['vol-7', 'vol-0'])
    expect(numbers([{ name: 'vol-0', volume: 'eui.gone' }])).toEqual(['vol-1', 'vol-2'])
    expect(numbers([{ name: 'other-0', volume: 'eui.b' }])).toEqual(['vol-0', 'vol-1'])
    // Two nodes of one volume: one of them is taken over.
    expect(
      numbers([
        { name: 'vol-3', volume: 'eui.b' },
        { name: 'vol-2', volume: 'eui.b' },
      ]),
    ).toEqual(['vol-0', 'vol-3'])
    expect(names([entry('eui.b', 'data')], new Map(), new Set(), [{ name: 'data', volume: 'eui.gone' }])).toEqual([
      ['eui.b', 'data'],
    ])
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

  it('spells an identity so that it can be a name', () => {
    expect(names([entry('*', '{volume}')])).toEqual([
      ['t10.a b/c', 't10.a_b_c'],
      ['eui.b', 'eui.b'],
    ])
  })

  it('gives new volumes numbers that are free', () => {
    const all = entry('*', 'vol-{n}')
    expect(names([all], new Map([['eui.b', { config: all, n: 0 }]]))).toEqual([['t10.a b/c', 'vol-1']])
    expect(names([all], new Map([['eui.b', { config: all, n: 1 }]]))).toEqual([['t10.a b/c', 'vol-0']])
  })

  it('refuses two pairs of one name', () => {
    const message = 'bb.yaml:5:5: two devices would be named data: put {n} or {volume} into the name'
    expect(() => names([entry('*', 'data')])).toThrow(message)
    expect(() => names([entry('eui.b', 'data')], new Map(), new Set(['data']))).toThrow(message)
  })

  it('knows what is not there', () => {
    expect(notFound(found, [entry('*', ''), entry('eui.b', ''), entry('eui.c', '')])).toEqual(['eui.c'])
  })

  it('fills placeholders in, in plain values only', () => {
    const live = new Map()
    const options = { socket: '/run/{name}.sock', deep: [{ a: '{n}{volume}{other}' }], port: 5, live }
    expect(fillInAll(options, { name: 'x', n: '1', volume: 'v' })).toEqual({
      socket: '/run/x.sock',
      deep: [{ a: '1v{other}' }],
      port: 5,
      live,
    })
  })
})
