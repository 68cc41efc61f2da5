import { Errno, PATH_ERROR } from '@blockbraid/core'
import type { MemoryOptions } from '@blockbraid/target-memory'
import { memory } from '@blockbraid/target-memory'
import { describe, expect, it } from 'vitest'
import type { IscsiArrayOfOptions } from '../src/index.ts'
import { iscsiArrayOf } from '../src/index.ts'
import type { Bed } from './beds.ts'
import { bedOf, until, use } from './beds.ts'
import { cdb, INITIATOR, read10, TARGET, write10 } from './initiator.ts'

async function mirrored(storage: MemoryOptions = {}, options: Partial<IscsiArrayOfOptions> = {}): Promise<Bed> {
  const target = memory({ volumes: [{ size: '1MiB' }, { size: '2MiB' }], ports: 2, ...storage })
  return bedOf(use(await iscsiArrayOf(target, { name: TARGET, ...options })), target)
}

const rtpg = cdb('a30a 0000 0000 000000ff')
const block = (byte: number): Buffer => Buffer.alloc(4096, byte)

describe('a target behind an array', () => {
  it('has a portal for each port, with the volumes that are mapped there', async () => {
    const { array, memory: target, ready } = await mirrored()
    expect(array.portals.map(({ group }) => group)).toEqual([1, 2])
    target.array.unmap(1, 1)
    const rescanned = new Promise((resolve) => setImmediate(resolve))
    await rescanned
    const rtpgOf = async (lun: number): Promise<number> => {
      const initiator = await ready({ isid: '400000000003' })
      await initiator.settle(lun)
      return (await initiator.command(rtpg, { lun, read: 255 })).data.readUInt32BE(0)
    }
    expect([await rtpgOf(0), await rtpgOf(1)]).toEqual([24, 12])
    for (const [portal, luns] of [
      [0, 2],
      [1, 1],
    ]) {
      const initiator = await ready({ portal: portal! })
      const list = await initiator.command(cdb('a0 0000 000000 00001000'), { read: 4096 })
      expect(list.data.readUInt32BE(0)).toBe(8 * luns!)
    }
    const initiator = await ready({ isid: '400000000002' })
    const page = await initiator.command(cdb('1201 8300 ff00'), { read: 255 })
    expect(page.data.toString('hex')).toContain(target.array.volumes[0]!.id.slice(4))
  })

  it('shares data between ports', async () => {
    const { ready } = await mirrored()
    const [a, b] = [await ready(), await ready({ portal: 1 })]
    expect((await a.command(write10(3, 1), { write: block(9) })).status).toBe(0)
    expect((await b.command(read10(3, 1), { read: 4096 })).data).toEqual(block(9))
  })

  it('shows hosts to the array', async () => {
    const target = memory({ ports: 1 })
    const array = use(
      await iscsiArrayOf(target, {
        name: TARGET,
        targetFor: (initiator) => memory({ array: target.array, initiator }),
      }),
    )
    await bedOf(array, target).login()
    expect(target.array.registrations.map(({ initiator }) => initiator)).toContain(INITIATOR)
  })

  it('shows access states, in I/O and in RTPG of the other port', async () => {
    const { memory: target, ready } = await mirrored()
    const [a, b] = [await ready(), await ready({ portal: 1 })]
    target.array.setAccess(0, { port: 0 }, 'standby')
    expect(await a.command(Buffer.alloc(6))).toMatchObject({ sense: 0x06_2a06 })
    expect(await a.command(read10(0, 1), { read: 4096 })).toMatchObject({ sense: 0x02_040b })
    expect(await b.command(Buffer.alloc(6))).toMatchObject({ sense: 0x06_2a06 })
    const groups = (await b.command(rtpg, { read: 255 })).data
    expect([groups[4], groups[16]]).toEqual([2, 0])
    const optimize = Buffer.from('0000000000000001', 'hex')
    expect((await a.command(cdb('a40a 0000 0000 00000008'), { write: optimize })).status).toBe(0)
    expect((await a.command(read10(0, 1), { read: 4096 })).status).toBe(0)
  })

  it('loses its connections with a link, and refuses logins until it is back', async () => {
    const { memory: target, login, ready, array } = await mirrored()
    const [a, b] = [await ready(), await ready({ portal: 1 })]
    target.array.portDown(0)
    await a.gone()
    await expect(login()).rejects.toThrow('has ended')
    await expect(login({ discovery: true })).rejects.toThrow('has ended')
    expect((await b.command(read10(0, 1), { read: 4096 })).status).toBe(0)
    target.array.portUp(0)
    await login()
    await login({ discovery: true })
    // The array still hears of changes at that port.
    target.array.setAccess(0, { port: 0 }, 'unavailable')
    await until(() => array.sessions.length === 3, 'three sessions')
    expect(await b.command(Buffer.alloc(6))).toMatchObject({ sense: 0x06_2a06 })
  })

  it('hangs with a port: what was sent runs at release', async () => {
    const { memory: target, ready } = await mirrored()
    const initiator = await ready()
    target.array.hang(0)
    const tag = initiator.begin(write10(0, 1), { write: block(1) })
    await until(() => target.array.ports[0]!.commands === 1, 'the command')
    await initiator.nop()
    target.array.release(0)
    expect((await initiator.finish(tag)).status).toBe(0)
  })

  it('reinstatement fences what a hung port holds: it never runs', async () => {
    const { memory: target, login, ready } = await mirrored({ ports: 2 }, { portals: [{ group: 1 }, { group: 1 }] })
    const old = await ready()
    target.array.hang(0)
    old.begin(write10(0, 1), { write: block(1) })
    await until(() => target.array.ports[0]!.commands === 1, 'the command')
    const again = await login({ portal: 1 })
    await old.gone()
    await again.settle()
    expect((await again.command(write10(0, 1), { write: block(2) })).status).toBe(0)
    target.array.release(0)
    expect((await again.command(read10(0, 1), { read: 4096 })).data).toEqual(block(2))
  })

  it('without reinstatement the old write lands on the newer one', async () => {
    const options = { portals: [{ group: 1 }, { group: 1 }], reinstate: false }
    const { memory: target, login, ready } = await mirrored({ ports: 2 }, options)
    const old = await ready()
    target.array.hang(0)
    const tag = old.begin(write10(0, 1), { write: block(1) })
    await until(() => target.array.ports[0]!.commands === 1, 'the command')
    const again = await login({ portal: 1 })
    await again.settle()
    expect((await again.command(write10(0, 1), { write: block(2) })).status).toBe(0)
    target.array.release(0)
    await old.finish(tag)
    expect((await again.command(read10(0, 1), { read: 4096 })).data).toEqual(block(1))
  })

  it('tells of volumes that grow, come, go, and are exchanged', async () => {
    const { memory: target, ready } = await mirrored()
    const initiator = await ready()
    await initiator.settle(1)
    target.array.grow(0, '4MiB')
    expect(await initiator.command(Buffer.alloc(6))).toMatchObject({ sense: 0x06_2a09 })
    expect((await initiator.command(cdb('25'), { read: 8 })).data.readUInt32BE(0)).toBe(1023)

    const third = target.array.addVolume({ size: '1MiB' })
    const told = async (lun: number): Promise<number> => (await initiator.command(Buffer.alloc(6), { lun })).sense
    const expectSoon = async (lun: number, sense: number): Promise<void> => {
      let last = 0
      for (let left = 500; left > 0 && last !== sense; left--) last = await told(lun)
      expect(last.toString(16)).toBe(sense.toString(16))
    }
    await expectSoon(0, 0x06_3f0e)
    const page = async (lun: number): Promise<string> =>
      (await initiator.command(cdb('1201 8300 ff00'), { lun, read: 255 })).data.toString('hex')
    expect(await page(2)).toContain(third.slice(4))

    target.array.unmap(1, 'all')
    await expectSoon(1, 0x05_2500)
    expect((await initiator.nop()).opcode).toBe(0x20)

    await initiator.settle(2)
    target.array.reuseLun(0, 2, target.array.volumes[0]!.id)
    await expectSoon(2, 0x06_3f0e)
    expect(await page(2)).toContain(target.array.volumes[0]!.id.slice(4))
  })

  it('commands in a volume that is taken away end with "no such unit", and the session lives', async () => {
    const { memory: target, ready } = await mirrored()
    const initiator = await ready()
    target.array.hang(0)
    const tag = initiator.begin(read10(0, 1), { read: 4096 })
    await until(() => target.array.ports[0]!.commands === 1, 'the command')
    target.array.unmap(0, 0)
    expect(await initiator.finish(tag)).toMatchObject({ sense: 0x05_2500 })
    await initiator.nop()
  })

  it('passes on the errors of the medium, and cuts where a path fails', async () => {
    const { memory: target, ready } = await mirrored()
    const initiator = await ready()
    target.array.fail({ volume: 0, offset: 8192, length: 4096, status: Errno.ENODATA })
    expect(await initiator.command(read10(2, 1), { read: 4096 })).toMatchObject({ status: 2, sense: 0x03_1100 })
    expect((await initiator.command(read10(3, 1), { read: 4096 })).status).toBe(0)
    target.array.heal()
    target.array.fail({ port: 0, status: Errno.EIO | PATH_ERROR })
    initiator.begin(read10(0, 1), { read: 4096 })
    await initiator.gone()
  })

  it('closes every path with the session', async () => {
    const { array, memory: target, ready } = await mirrored()
    const paths = (): number => target.array.ports.reduce((sum, port) => sum + port.paths, 0)
    await until(() => paths() === 4, 'the paths of the array itself')
    const initiator = await ready()
    expect(paths()).toBe(6)
    await initiator.logout()
    await until(() => paths() === 4, 'the paths of the session to be closed')
    await array.close()
    expect(paths()).toBe(0)
  })
})
