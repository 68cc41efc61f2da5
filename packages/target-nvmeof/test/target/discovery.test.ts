import { createNvmeArray } from '@blockbraid/array-nvmeof'
import { describe, expect, test } from 'vitest'
import type { NvmeofOptions } from '../../src/index.ts'
import { nvmeof } from '../../src/index.ts'
import { bed, device, look, placesOf, volumeAt } from './bed.ts'
import { afterwards, SUBSYSTEM } from './rig.ts'

const TWO = ['1MiB', '2MiB']
const IDENTIFY = 0x06
const INTERNAL = 0x006
const NOT_READY = 0x082

function asks(portals: readonly string[], more: Partial<NvmeofOptions> = {}) {
  const target = nvmeof({ portals, commandTimeout: 1000, connectTimeout: 1000, ...more })
  afterwards(() => target.close({ signal: AbortSignal.timeout(1000) }).catch(() => {}))
  return target
}

describe('a subsystem that is named', () => {
  test('is asked at each portal for its namespaces', async () => {
    const { target, array } = await bed({ sizes: TWO, array: { ports: [{}, {}] } })
    const infos = await target.discover()
    const [one, other] = array.ports.map(({ address }) => address)
    expect(placesOf(infos)).toEqual([`${one} 1`, `${one} 2`, `${other} 1`, `${other} 2`].sort())
    expect(infos.find(({ address, lun }) => address === one && lun === '2')).toEqual({
      id: `nvme-tcp:${SUBSYSTEM}/${one}/ns2`,
      address: one,
      volume: volumeAt(1),
      size: 2 * 1024 * 1024,
      blockSize: 512,
      lun: '2',
      product: 'blockbraid simulated array',
      serial: expect.any(String),
      protocol: 'nvme',
      endpoint: SUBSYSTEM,
      system: expect.stringContaining(SUBSYSTEM),
    })
  })

  test('is not asked of a discovery controller, and told portals are of no matter', async () => {
    const { target, array } = await bed({ array: { ports: [{}, {}] } })
    await target.discover()
    expect(array.counters.controllers).toBe(2)
    expect(array.controllers.some(({ discovery }) => discovery)).toBe(false)
  })

  test('of its namespaces those of the options are used, and what is not mapped is said', async () => {
    const { array, host } = await bed({ sizes: TWO, array: { ports: [{}, {}] } })
    await array.unmap(2, [1])
    const { seen, notes } = await look(host({ namespaces: [2, 7] }))
    expect(seen).toEqual([`${array.ports[0]!.address} 2`])
    const text = 'is not mapped to this host'
    expect(notes).toEqual([
      { place: `${SUBSYSTEM}, namespace 2 at ${array.ports[1]!.address}`, text, missing: true },
      { place: `${SUBSYSTEM}, namespace 7`, text, missing: true },
    ])
  })

  test('a portal that never answered is said, and its paths are expected', async () => {
    const { target, array } = await bed({ sizes: TWO, array: { ports: [{}, {}] } })
    await array.ports[1]!.down()
    const { seen, unseen, notes } = await look(target)
    const [one, other] = array.ports.map(({ address }) => address)
    expect(seen).toEqual([`${one} 1`, `${one} 2`])
    expect(unseen).toEqual([`${other} 1`, `${other} 2`])
    expect(notes).toEqual([{ place: expect.stringContaining(other!), text: expect.any(String), missing: true }])
    await array.ports[1]!.up()
    await expect.poll(async () => (await look(target)).seen.length).toBe(4)
  })

  test('a path stays listed while its portal is silent, and goes when the subsystem takes it away', async () => {
    const { target, array } = await bed({ sizes: TWO, array: { ports: [{}, {}] } })
    const before = placesOf(await target.discover())
    await array.ports[1]!.down()
    expect(placesOf(await target.discover())).toEqual(before)
    await array.ports[1]!.up()
    await array.unmap(2)
    await expect.poll(async () => placesOf(await target.discover()).length, { timeout: 5000 }).toBe(2)
  })

  test('no portal that answers is an error that says why', async () => {
    const { target, array } = await bed()
    await array.ports[0]!.down()
    await expect(target.discover()).rejects.toMatchObject({
      code: 'CONNECT_FAILED',
      message: expect.stringMatching(/^no portal of .* answers: /),
    })
  })

  test.each<[string, object]>([
    ['fails', { status: INTERNAL }],
    ['is not ready', { status: NOT_READY }],
    ['does not answer', { hangs: true }],
  ])('a namespace that %s hides no other one, and stays what it was', async (_what, rule) => {
    const { target, array } = await bed({ sizes: TWO, initiator: { commandTimeout: 300 } })
    const before = placesOf(await target.discover())
    array.faults.command({ admin: true, opcode: IDENTIFY, nsid: 2, ...rule })
    const { seen, notes } = await look(target)
    expect(seen).toEqual(before)
    expect(notes).toMatchObject([{ place: expect.stringContaining('namespace 2'), missing: true }])
  })

  test('a namespace without an identity, or with metadata, is left out and said', async () => {
    const { target, array } = await bed({ sizes: [...TWO, '1MiB'] })
    const blank = (data: Buffer): Buffer => Buffer.from(data).fill(0, 104, 128)
    array.faults.command({
      admin: true,
      opcode: IDENTIFY,
      nsid: 2,
      data: (data) => (data.readUInt16LE(0) === 0 || data[0] === 3 ? Buffer.alloc(data.length).fill(0) : blank(data)),
    })
    const metadata = (data: Buffer): Buffer => {
      const changed = Buffer.from(data)
      changed.writeUInt16LE(8, 128)
      return changed
    }
    array.faults.command({ admin: true, opcode: IDENTIFY, nsid: 3, data: metadata, count: 1 })
    const { seen, notes } = await look(target)
    expect(seen).toHaveLength(1)
    expect(notes.map(({ text }) => text)).toEqual([
      expect.stringContaining('namespace 2 has no identity'),
      expect.stringContaining('8 bytes of metadata'),
    ])
  })

  test('that the array never heard of is refused, and that is said', async () => {
    const { host } = await bed()
    const error = await host({ subsystem: 'nqn.2026-11.io.blockbraid:arrray' })
      .discover()
      .catch((reason: unknown) => reason)
    expect(error).toMatchObject({ message: expect.stringContaining('nqn.2026-11.io.blockbraid:arrray') })
  })
})

describe('a discovery controller', () => {
  test('tells of the ports, and the connection to it is kept', async () => {
    const { array } = await bed({ sizes: TWO, array: { ports: [{ serves: 'discovery' }, {}, {}] } })
    const target = asks([array.ports[0]!.address])
    const { seen, notes } = await look(target)
    const places = array.ports.slice(1).flatMap(({ address }) => [`${address} 1`, `${address} 2`])
    expect(seen).toEqual(places.sort())
    expect(notes).toEqual([])
    await look(target)
    expect(array.controllers.filter(({ discovery }) => discovery)).toHaveLength(1)
    expect(array.violations).toEqual([])
  })

  test('tells of changes, and what has come is found', async () => {
    const { array } = await bed({ array: { ports: [{ serves: 'discovery' }, {}, {}] } })
    array.ports[2]!.advertised = ''
    const target = asks([array.ports[0]!.address])
    expect((await look(target)).seen).toHaveLength(1)
    const told = new Promise<string>((resolve) => target.events!.once('changed', resolve))
    array.ports[2]!.advertised = array.ports[2]!.address
    array.discoveryChanged()
    expect(await told).toContain('tells of changes')
    expect((await look(target)).seen).toHaveLength(2)
  })

  test('that is lost is said to have changed, and is connected to again', async () => {
    const { array } = await bed({ array: { ports: [{ serves: 'discovery' }, {}] } })
    const target = asks([array.ports[0]!.address])
    await look(target)
    const told = new Promise<string>((resolve) => target.events!.once('changed', resolve))
    array.ports[0]!.reset()
    expect(await told).toContain('was lost')
    expect((await look(target)).seen).toHaveLength(1)
  })

  test('that is silent keeps what it told, and is noted', async () => {
    const { array } = await bed({ array: { ports: [{ serves: 'discovery' }, {}] } })
    const target = asks([array.ports[0]!.address])
    const before = (await look(target)).seen
    await array.ports[0]!.down()
    const { seen, notes } = await look(target)
    expect(seen).toEqual(before)
    expect(notes).toEqual([{ place: array.ports[0]!.address, text: expect.any(String), missing: true }])
  })

  test('refers to others, itself and those that refer back among them: each is asked once', async () => {
    const other = await createNvmeArray({
      name: 'nqn.2026-11.io.blockbraid:other',
      namespaces: [{ volume: volumeAt(9), device: await device() }],
    })
    afterwards(() => other.close())
    const { array } = await bed()
    const referral = ({ ports }: typeof array) => ({ host: ports[0]!.host, port: ports[0]!.port })
    array.referrals = [referral(array), referral(other)]
    other.referrals = [referral(array), referral(other)]
    const target = asks([array.ports[0]!.address])
    const { seen } = await look(target)
    expect(seen).toEqual([`${array.ports[0]!.address} 1`, `${other.ports[0]!.address} 1`].sort())
    for (const { controllers } of [array, other]) {
      expect(controllers.filter(({ discovery }) => discovery)).toHaveLength(1)
    }
    // One that is no longer referred to is left.
    array.referrals = []
    const left = await look(target)
    expect(left.seen).toHaveLength(1)
    await expect.poll(() => other.controllers.length, { timeout: 5000 }).toBe(0)
  })

  test('that is referred to and silent is noted, and counts as it was', async () => {
    const other = await createNvmeArray({
      name: 'nqn.2026-11.io.blockbraid:other',
      namespaces: [{ volume: volumeAt(9), device: await device() }],
      ports: [{}, {}],
    })
    afterwards(() => other.close())
    other.ports[0]!.advertised = ''
    const { array } = await bed()
    array.referrals = [{ host: other.ports[0]!.host, port: other.ports[0]!.port }]
    const target = asks([array.ports[0]!.address])
    const before = (await look(target)).seen
    expect(before).toHaveLength(2)
    await other.ports[0]!.down()
    const { seen, notes } = await look(target)
    expect(seen).toEqual(before)
    expect(notes).toMatchObject([{ place: other.ports[0]!.address, text: expect.stringContaining('is referred to') }])
  })

  test('of what it tells, only what the options allow is connected to', async () => {
    const { array } = await bed({ array: { ports: [{}, {}, {}] } })
    const portals = [array.ports[0]!.address]
    expect((await look(asks(portals, { toldPortals: false }))).seen).toHaveLength(1)
    expect((await look(asks(portals, { maxToldPortals: 1 }))).seen).toHaveLength(2)
    const outside = await look(asks(portals, { toldPortals: ['192.0.2.0/24'] }))
    expect(outside.seen).toHaveLength(1)
    expect(outside.notes).toMatchObject([{ text: expect.stringContaining('outside of toldPortals') }])
  })
})
