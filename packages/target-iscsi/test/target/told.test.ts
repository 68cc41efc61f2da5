import { subscribe, unsubscribe } from 'node:diagnostics_channel'
import { BlockList } from 'node:net'
import { networkInterfaces } from 'node:os'
import { IoOp, OK } from '@blockbraid/core'
import { describe, expect, test } from 'vitest'
import { fromUrl, iscsi } from '../../src/index.ts'
import { Limiter } from '../../src/target/discovery/limiter.ts'
import { ToldPortals } from '../../src/target/discovery/told.ts'
import { parsePathId } from '../../src/target/place/path-id.ts'
import { parsePortal } from '../../src/target/place/portal.ts'
import { afterwards, BLOCK, bed, run } from './bed.ts'
import { look, tell } from './look.ts'

/** How often the process has connected since. */
function connected(): () => number {
  let count = 0
  const onConnect = (): void => void count++
  subscribe('blockbraid.wire.connect', onConnect)
  afterwards(async () => void unsubscribe('blockbraid.wire.connect', onConnect))
  return () => count
}

const chap = { user: 'alice', secret: 'a secret of alice' }
// Nothing listens there.
const many = Array.from({ length: 3000 }, (_, n) => `TargetAddress=127.1.${n >> 8}.${n & 255}:1,1\0`).join('')

describe('a target that tells of 3,000 portals', () => {
  test('is connected to at 64 of them, with its credentials too, and it is said', async () => {
    const { array, host } = await bed({ array: { chap } })
    tell(array, (text) => text + many)
    const count = connected()
    const { seen, unseen, notes } = await look(host({ chap }))
    // Nobody answers at so many: a few are tried again and again, no more.
    expect(unseen).toHaveLength(8)
    expect(seen).toEqual([`${array.portals[0]!.address} 0`])
    // Discovery, its own portal, and those.
    expect(count()).toBeLessThanOrEqual(66)
    const text = notes.find(({ missing }) => !missing)?.text
    expect(text).toMatch(/^2936 portals that are told of are not used, as they are more than maxToldPortals/)
    expect(notes.filter(({ missing }) => missing)).toEqual([
      { place: expect.stringMatching(/ and 60 more$/), text: expect.stringContaining('refused'), missing: true },
    ])
  })

  test('maxToldPortals is as many as there are told ones, those of the options aside', async () => {
    const { array, host } = await bed({ array: { portals: [{}, {}] } })
    tell(array, (text) => many + text)
    const { seen } = await look(host({ maxToldPortals: 3 }))
    expect(seen).toHaveLength(2)
  })

  test('toldPortals names networks: others are not connected to', async () => {
    const { array, host } = await bed({})
    tell(array, (text) => text + many)
    const count = connected()
    const { notes } = await look(host({ toldPortals: ['127.1.0.0/30', '::1'] }))
    expect(count()).toBe(6)
    expect(notes.at(-1)).toMatchObject({
      missing: false,
      text: expect.stringMatching(/^2996 portals.* outside of toldP/),
    })
  })

  test('nor followed to', async () => {
    const { array, host } = await bed({ array: { portals: [{}, {}] } })
    const [first, second] = array.portals
    array.faults.login({ portal: 0, discovery: false, action: 'refuse', status: 0x0101, address: '127.1.9.9:1,1' })
    array.faults.login({ portal: 1, action: 'refuse', status: 0x0301 })
    const found = host({ portals: [first!.address], toldPortals: [second!.host] }).discover()
    await expect(found).rejects.toThrow(/redirected to 127.1.9.9:1, which is not to be used/)
  })
})

const own = Object.entries(networkInterfaces()).flatMap(([name, addresses = []]) =>
  addresses.flatMap(({ address }) => (address.startsWith('fe80:') ? [`${address.split('%')[0]}%${name}`] : [])),
)[0]

describe('link-local addresses', () => {
  test.skipIf(own === undefined)('of this host, configured and told, are used', async () => {
    const host = own as string
    const { array, open, target } = await bed({
      array: { portals: [{ host }, { host }] },
      initiator: { toldPortals: true },
    })
    // As the array knows them: without an interface.
    for (const portal of array.portals) portal.advertised = `[${host.split('%')[0]}]:${portal.port}`
    const [first] = array.portals
    const one = iscsi({ portals: [first!.address] })
    afterwards(() => one.close())
    expect((await look(one)).seen).toEqual(array.portals.map(({ address }) => `${address} 0`).sort())
    expect(await run(await open(1, 0, target), { op: IoOp.Read, length: BLOCK })).toBe(OK)
  })

  const portal = (text: string) => parsePortal(text)!
  const told = (from: boolean | BlockList = true) => new ToldPortals({ from, most: 64 }, [portal('[fe80::1%eth0]')])

  test('are portals with the interface behind them', () => {
    expect(portal('[FE80::1%Eth0]:3261')).toEqual({ host: 'fe80::1%Eth0', port: 3261, address: '[fe80::1%Eth0]:3261' })
    expect(parsePathId('iscsi:iqn.a/[fe80::1%eth0.100]:3260/lun1')?.portal.host).toBe('fe80::1%eth0.100')
    expect(parsePortal('[fe80::1%]')).toBeUndefined()
    expect(parsePortal('[fe80::1%a/b]')).toBeUndefined()
  })

  test('that are told count on the link of the portal that tells', () => {
    const at = (host: string, teller: string) => told().admit({ host, port: 3260, tag: 1 }, portal(teller))
    expect(at('fe80::2', '[fe80::1%eth0]')).toMatchObject({ host: 'fe80::2%eth0' })
    expect(at('fe80::2%lo', '[fe80::1%eth0]')).toMatchObject({ host: 'fe80::2%eth0' })
    expect(at('fe80::2%lo', '192.0.2.1')).toBe('zone')
    expect(at('2001:db8::1', '[fe80::1%eth0]')).toMatchObject({ host: '2001:db8::1' })
  })

  test('are in an address as zone', () => {
    expect(fromUrl(new URL('iscsi://[fe80::1]:3261/?zone=eth0')).portals).toEqual(['[fe80::1%eth0]:3261'])
    expect(() => fromUrl(new URL('iscsi://host/?zone=eth0'))).not.toThrow()
    expect(() => fromUrl(new URL('iscsi://[fe80::1]/?zone=a/b'))).toThrow(TypeError)
  })

  test('networks know nothing of names', () => {
    const networks = new BlockList()
    networks.addSubnet('192.0.2.0', 24, 'ipv4')
    const admit = (host: string) => told(networks).admit({ host, port: 1, tag: 1 }, portal('192.0.2.9'))
    expect(admit('192.0.2.7')).toMatchObject({ host: '192.0.2.7' })
    for (const host of ['192.0.3.7', 'array.example', '::1']) expect(admit(host)).toBe('outside')
  })
})

test('what hangs gives its turn to the next', async () => {
  const calls: (() => void)[] = []
  const clock = {
    now: () => 0,
    defer: () => {},
    after: (_wait: number, call: () => void) => {
      calls.push(call)
      return { cancel() {} }
    },
  }
  const turns = new Limiter(clock, 2, 1000)
  let begun = 0
  const hanging = () => new Promise<void>(() => begun++)
  for (let n = 0; n < 6; n++) void turns.run(hanging)
  expect(begun).toBe(2)
  calls.shift()?.()
  expect(begun).toBe(3)
  expect(await Promise.race([turns.run(async () => 'later'), Promise.resolve('waits')])).toBe('waits')
})
