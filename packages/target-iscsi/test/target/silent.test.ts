import type { IscsiArray } from '@blockbraid/array-iscsi'
import { createIscsiArray } from '@blockbraid/array-iscsi'
import type { VolumeId } from '@blockbraid/core'
import { createHostAgent, IoOp, OK } from '@blockbraid/core'
import { describe, expect, test } from 'vitest'
import { iscsi } from '../../src/index.ts'
import { afterwards, BLOCK, bed, run } from './bed.ts'
import { look, placesOf, tell } from './look.ts'

const memory = {
  volumes: [
    { size: '1MiB', blockSize: BLOCK },
    { size: '1MiB', blockSize: BLOCK },
  ],
} as const
// Longer than a test may take: whoever waits for it fails.
const NEVER = 120_000
const patient = { loginTimeout: NEVER, taskTimeout: NEVER }
const INQUIRY = 0x12
const TGT: VolumeId = 'naa.60000000000000000e00000000010001'

describe('one portal is well, and the other one accepts and says nothing', () => {
  test.each([
    ['configured', [0, 1]],
    ['told by SendTargets alone', [0]],
  ] as const)('%s: what is there is listed, and what is expected there', async (_what, configured) => {
    const { array, host } = await bed({ memory: { volumes: [...memory.volumes] }, array: { portals: [{}, {}] } })
    const [well, silent] = array.portals.map(({ address }) => address) as [string, string]
    array.portals[1]!.blackhole(true)
    const target = host({ portals: configured.map((number) => array.portals[number]!.address), ...patient })
    expect(await look(target)).toEqual({
      seen: [`${well} 0`, `${well} 1`],
      unseen: [`${silent} 0`, `${silent} 1`],
      notes: [{ place: silent, text: 'has not answered yet', missing: true }],
    })
    // Nobody else is told of paths that nobody has seen.
    expect(placesOf(await target.discover())).toEqual([`${well} 0`, `${well} 1`])
  })

  test('what it says in the end is told of, and listed from then on', async () => {
    const { array, host } = await bed({ array: { portals: [{}, {}] } })
    array.portals[1]!.blackhole(true)
    const target = host(patient)
    expect((await look(target)).seen).toHaveLength(1)
    const changed = new Promise<string>((resolve) => target.events!.on('changed', resolve))
    array.portals[1]!.blackhole(false)
    expect(await changed).toContain('late')
    // Silent again: it is known by now.
    array.portals[1]!.blackhole(true)
    expect(await look(target)).toMatchObject({ seen: [expect.any(String), expect.any(String)], unseen: [] })
    let news = 0
    target.events!.on('changed', () => news++)
    array.portals[1]!.blackhole(false)
    expect((await look(target)).notes).toEqual([])
    await new Promise((resolve) => setTimeout(resolve, 200))
    expect(news).toBe(0)
  })

  test('who asks at the same time gets the same', async () => {
    const { array, host } = await bed({ array: { portals: [{}, {}] } })
    array.portals[1]!.blackhole(true)
    const target = host(patient)
    const [one, two] = await Promise.all([look(target), look(target)])
    expect(one!.seen).toHaveLength(1)
    expect(two).toEqual(one)
  })

  test('called off, it is not asked on', async () => {
    const { array, host } = await bed({ array: { portals: [{}, {}] } })
    for (const portal of array.portals) portal.blackhole(true)
    const stop = new AbortController()
    const found = host(patient).discover({ signal: stop.signal })
    await expect.poll(() => array.portals[1]!.connections).toBe(1)
    stop.abort()
    await expect(found).rejects.toMatchObject({ code: 'ABORTED' })
    for (const portal of array.portals) portal.blackhole(false)
    await expect.poll(() => array.portals.map(({ connections }) => connections)).toEqual([0, 0])
  })
})

describe('one of two portal groups refuses at the start', () => {
  test('its path is missing in the device, and is used as soon as it is back, without another scan', async () => {
    const { array, target } = await bed({ array: { portals: [{ group: 1 }, { group: 2 }] } })
    const [, down] = array.portals
    await down!.down()
    const agent = createHostAgent({ targets: [target] })
    afterwards(() => agent.close())
    expect((await agent.rescan()).errors).toEqual([])
    const [volume, ...others] = agent.devices().filter(({ kind }) => kind === 'multipath')
    expect(others).toEqual([])
    // A path that nobody has seen is no device.
    expect(agent.devices().filter(({ kind }) => kind === 'native')).toHaveLength(1)
    const multipath = { reconnectDelay: 20, reconnectDelayMax: 50 }
    const transport = { name: 'none', attach: async () => attachment(), close: async () => {} }
    const pair = await agent.pair({ name: 'disk', device: volume!.id, transport, multipath })
    expect(pair.paths.map(({ address }) => address).sort()).toEqual(array.portals.map(({ address }) => address).sort())
    expect(pair.paths.filter(({ state }) => state === 'up')).toHaveLength(1)
    await down!.up()
    await expect.poll(() => pair.paths.filter(({ state }) => state === 'up').length, { timeout: 5000 }).toBe(2)
    await array.portals[0]!.down()
    expect(await pair.user.read(0, BLOCK)).toHaveLength(BLOCK)
  })

  test('what it says when it answers counts: nothing is expected there any more', async () => {
    const { array, target, volumes, devices } = await bed({
      memory: { volumes: [...memory.volumes] },
      mapped: [],
      array: { portals: [{}, {}] },
    })
    await array.map({ lun: 0, volume: volumes[0]!, device: devices[0]!, portals: [0] })
    const [, down] = array.portals
    await down!.down()
    expect((await look(target)).unseen).toEqual([`${down!.address} 0`])
    await down!.up()
    expect(await look(target)).toMatchObject({ seen: [expect.stringContaining(' 0')], unseen: [], notes: [] })
  })
})

test('a portal of which nothing is known may lead to each target of the entry', async () => {
  const { array, devices } = await bed()
  const other = await createIscsiArray({
    name: 'iqn.2026-11.io.blockbraid:other',
    luns: [{ lun: 5, volume: 'naa.6001405000000000000000000000abcd', device: devices[0]! }],
  })
  afterwards(() => other.close())
  const nowhere = '127.0.0.9:1'
  const target = iscsi({ portals: [array.portals[0]!.address, other.portals[0]!.address, nowhere] })
  afterwards(() => target.close())
  const { seen, unseen, notes } = await look(target)
  expect(seen).toHaveLength(2)
  expect(unseen).toEqual([`${nowhere} 0`, `${nowhere} 5`])
  expect(notes).toEqual([{ place: nowhere, text: expect.stringContaining('refused'), missing: true }])
})

describe('an identity that many arrays have, and a portal of which nobody tells that refuses at the start', () => {
  async function scene(portals: readonly { group: number }[]) {
    const { devices } = await bed()
    const arrays = await Promise.all(
      [0, 1].map(() =>
        createIscsiArray({
          name: 'iqn.2026-11.io.blockbraid:tgt',
          portals,
          luns: [{ lun: 1, volume: TGT, device: devices[0]!, vendor: 'IET', product: 'VIRTUAL-DISK' }],
        }),
      ),
    )
    for (const array of arrays) {
      afterwards(() => array.close())
      // Each of its portals tells of itself alone.
      tell(array, (text) => text.replace(/TargetAddress=[^\0]*\0/g, ''))
    }
    const [one, two] = arrays as [IscsiArray, IscsiArray]
    const agentOf = async (addresses: readonly string[]) => {
      const target = iscsi({ portals: addresses, toldPortals: false, taskTimeout: 1000, loginTimeout: 1000 })
      const agent = createHostAgent({ targets: [target] })
      afterwards(() => agent.close())
      expect((await agent.rescan()).errors).toEqual([])
      const multipath = { reconnectDelay: 20, reconnectDelayMax: 50 }
      const transport = { name: 'none', attach: async () => attachment(), close: async () => {} }
      const pair = await agent.pair({ name: 'disk', device: TGT, transport, multipath })
      return { agent, pair }
    }
    return { one, two, agentOf }
  }

  test('is a missing path, which is used once it is known to be of the same system', async () => {
    const { one, agentOf } = await scene([{ group: 1 }, { group: 1 }])
    const [up, down] = one.portals
    await down!.down()
    const { pair } = await agentOf([up!.address, down!.address])
    expect(pair.state).toBe('degraded')
    expect(pair.paths.find(({ address }) => address === down!.address)?.reason).toMatch(
      /identity that many|connecting|^$/,
    )
    await down!.up()
    await expect.poll(() => pair.paths.filter(({ state }) => state === 'up').length, { timeout: 10_000 }).toBe(2)
    expect(pair.state).toBe('active')
  })

  test('is never opened where it is of another system, and is no path of the device any more', async () => {
    const { one, two, agentOf } = await scene([{ group: 1 }])
    const [portal] = two.portals
    await portal!.down()
    const { pair, agent } = await agentOf([one.portals[0]!.address, portal!.address])
    expect(pair.state).toBe('degraded')
    const states = new Set<string>()
    pair.events.on('path', ({ address, state }) => address === portal!.address && states.add(state))
    await portal!.up()
    await expect
      .poll(() => pair.paths.map(({ address }) => address), { timeout: 10_000 })
      .toEqual([one.portals[0]!.address])
    expect(states).not.toContain('up')
    expect(pair.state).toBe('active')
    expect((await agent.rescan()).errors.map(({ error }) => error.message)).toEqual([
      expect.stringContaining('not joined'),
    ])
  })
})

test('a target that is taken away and comes back is found again; as long as it is in use it is said to be missing', async () => {
  const { array, target, open } = await bed()
  const path = await open()
  const gone = tell(array, () => '')
  const { seen, notes } = await look(target)
  expect(seen).toEqual([])
  expect(notes).toEqual([
    { place: `${array.name} at ${array.portals[0]!.address}`, text: 'is no longer told of', missing: true },
  ])
  await path.close()
  expect((await look(target)).notes).toEqual([])
  gone.remove()
  expect((await look(target)).seen).toHaveLength(1)
})

test('as long as a portal is away, what is well is not asked over and over; what is new or hung there is found all the same', async () => {
  const volumes = Array.from({ length: 30 }, () => ({ size: '64KiB' as const, blockSize: BLOCK }) as const)
  const { array, host, devices, volumes: ids } = await bed({ memory: { volumes }, array: { portals: [{}, {}] } })
  const target = host({ taskTimeout: 500, loginTimeout: 2000 })
  const [up, away] = array.portals
  await away!.down()
  await array.unmap(7)
  const hung = array.faults.command({ opcode: INQUIRY, lun: 3, status: 0, hangs: true })
  const sum = () => Object.values(array.counters.commands).reduce((total, count) => total + count, 0)
  const { seen } = await look(target)
  expect(seen).toHaveLength(28)
  // Also where each look ends the one before, in which the hung one has not answered yet.
  const isNoted = ({ notes }: { notes: readonly { place: string }[] }) =>
    notes.some(({ place }) => /LUN 3\b/.test(place))
  const before = sum()
  const second = await look(target, true)
  expect(second.seen).toEqual(seen)
  expect(isNoted(second)).toBe(true)
  expect(sum() - before).toBeLessThan(8)
  await array.map({ lun: 7, volume: ids[7]!, device: devices[7]!, portals: [0] })
  expect((await look(target, true)).seen).toContain(`${up!.address} 7`)
  hung.remove()
  expect((await look(target, true)).seen).toContain(`${up!.address} 3`)
  expect(isNoted(await look(target, true))).toBe(false)
  await array.unmap(9)
  expect((await look(target, true)).seen).not.toContain(`${up!.address} 9`)
})

test('a logical unit that hangs costs the others a moment, and stays what it was', async () => {
  const { array, host } = await bed({ memory: { volumes: [...memory.volumes] } })
  const target = host(patient)
  const { address } = array.portals[0]!
  const fault = array.faults.command({ opcode: INQUIRY, lun: 1, status: 0, hangs: true })
  const late = { place: `${array.name}, LUN 1 at ${address}`, text: 'has not answered yet', missing: true }
  expect(await look(target)).toEqual({ seen: [`${address} 0`], unseen: [], notes: [late] })
  fault.remove()
  expect((await look(target)).seen).toEqual([`${address} 0`, `${address} 1`])
  array.faults.command({ opcode: INQUIRY, lun: 1, status: 0, hangs: true })
  expect(await look(target)).toEqual({ seen: [`${address} 0`, `${address} 1`], unseen: [], notes: [late] })
  const path = await target.connect((await target.discover())[0]!)
  expect(await run(path, { op: IoOp.Read, length: BLOCK })).toBe(OK)
})

function attachment() {
  return {
    node: 'none',
    events: { on() {}, once() {}, off() {} },
    resize: async () => {},
    detach: async () => {},
  } as never
}
