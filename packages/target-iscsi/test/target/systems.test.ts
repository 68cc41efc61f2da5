import type { IscsiArray, IscsiPortalOptions } from '@blockbraid/array-iscsi'
import { createIscsiArray } from '@blockbraid/array-iscsi'
import type { PathInfo, VolumeId } from '@blockbraid/core'
import { describe, expect, test } from 'vitest'
import type { IscsiOptions } from '../../src/index.ts'
import { iscsi } from '../../src/index.ts'
import { afterwards, bed } from './bed.ts'

const TGT: VolumeId = 'naa.60000000000000000e00000000010001'
const UNIQUE: VolumeId = 'naa.6001405000000000000000000000abcd'
const NAME = 'iqn.2026-11.io.blockbraid:array'

interface Options {
  volume?: VolumeId
  portals?: readonly IscsiPortalOptions[]
  /** Whether SendTargets tells nothing but the portal that was asked, as tgt does. */
  tellsItself?: boolean
  reinstate?: boolean
}

async function array({ volume = TGT, portals = [{}], tellsItself = false, reinstate = true }: Options = {}) {
  const { devices } = await bed()
  const made = await createIscsiArray({
    name: NAME,
    portals,
    reinstate,
    luns: [{ lun: 1, volume, device: devices[0]!, serial: 'beaf11' }],
  })
  afterwards(() => made.close())
  // 0.0.0.0 is what a target that listens everywhere may say of itself, and counts as nothing.
  if (tellsItself) for (const portal of made.portals) portal.advertised = '0.0.0.0:3260'
  return made
}

/** Discovers all portals, each of which must be asked, and tells the systems that their paths are of. */
async function systems(arrays: readonly IscsiArray[], options: Partial<IscsiOptions> = {}): Promise<PathInfo[]> {
  const portals = arrays.flatMap((one) => one.portals.map(({ address }) => address))
  const target = iscsi({ portals, toldPortals: false, taskTimeout: 1000, loginTimeout: 1000, ...options })
  afterwards(() => target.close())
  const infos = await target.discover()
  expect(infos.map(({ address }) => address).sort()).toEqual([...portals].sort())
  return [...infos]
}

const distinctOf = (infos: readonly PathInfo[]): number => new Set(infos.map(({ system }) => system)).size
const ONE_GROUP = [{ group: 1 }, { group: 1 }] as const

describe('portals of one target name that show a default identity', () => {
  test('and tell each of the other are of one system, also in two groups, without a proof', async () => {
    const one = await array({ portals: [{ group: 1 }, { group: 2 }] })
    expect(distinctOf(await systems([one]))).toBe(1)
    expect(one.counters.reinstatements).toBe(0)
  })

  test('and tell nothing of each other are proven to be one by a login at one that ends a session at the other', async () => {
    const one = await array({ portals: ONE_GROUP, tellsItself: true })
    expect(distinctOf(await systems([one]))).toBe(1)
    expect(one.counters.reinstatements).toBe(2)
    expect(one.violations).toEqual([])
  })

  test('and tell nothing of each other are of two systems where no session ends', async () => {
    const [one, two] = [await array(), await array()]
    expect(distinctOf(await systems([one, two]))).toBe(2)
  })

  test('and end no session, or are of two groups, are not known to be one', async () => {
    const deaf = await array({ portals: ONE_GROUP, tellsItself: true, reinstate: false })
    expect(distinctOf(await systems([deaf]))).toBe(2)
    const groups = await array({ portals: [{ group: 1 }, { group: 2 }], tellsItself: true })
    expect(distinctOf(await systems([groups]))).toBe(2)
  })

  test('are not of one system where only one of them says so', async () => {
    const [one, two] = [await array({ portals: [{}, {}] }), await array()]
    one.portals[1]!.advertised = two.portals[0]!.address
    const infos = await systems([one, two])
    const at = (portal: { address: string }) => infos.find(({ address }) => address === portal.address)?.system
    expect(at(one.portals[0]!)).not.toBe(at(two.portals[0]!))
  })

  test('are proven once, and stay one when a portal is silent', async () => {
    const one = await array({ portals: ONE_GROUP, tellsItself: true })
    const target = iscsi({ portals: one.portals.map(({ address }) => address), taskTimeout: 1000, loginTimeout: 1000 })
    afterwards(() => target.close())
    const first = await target.discover()
    await one.portals[1]!.down()
    const second = await target.discover()
    expect(distinctOf(second)).toBe(1)
    expect(second.map(({ id, system }) => [id, system])).toEqual(first.map(({ id, system }) => [id, system]))
    expect(one.counters.reinstatements).toBe(2)
  })
})

test('an identity that counts everywhere is not worth a login', async () => {
  const one = await array({ portals: ONE_GROUP, tellsItself: true, volume: UNIQUE })
  await systems([one])
  expect(one.counters.reinstatements).toBe(0)
})

test('a proof ends no session that is in use', async () => {
  const one = await array({ portals: ONE_GROUP, tellsItself: true })
  const target = iscsi({ portals: one.portals.map(({ address }) => address), taskTimeout: 1000 })
  afterwards(() => target.close())
  const path = await target.connect((await target.discover())[0]!)
  const down: Error[] = []
  path.events.on('down', (error) => down.push(error))
  // Under another session id: the logins of discovery itself would take the place of those sessions.
  await systems([one], { isid: 'random' })
  expect(down).toEqual([])
  await path.close()
})

test('discovery tells serial number, product, target and LUN of a path', async () => {
  const one = await array()
  expect((await systems([one]))[0]).toMatchObject({
    serial: 'beaf11',
    product: 'BLKBRAID SIMULATED ARRAY',
    endpoint: NAME,
    lun: '1',
  })
})
