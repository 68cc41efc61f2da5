import { Errno, PATH_ERROR } from '@blockbraid/core'
import { memory } from '@blockbraid/target-memory'
import { describe, expect, it } from 'vitest'
import type { NvmeArrayOfOptions } from '../src/index.ts'
import { nvmeArrayOf } from '../src/index.ts'
import type { Bed } from './beds.ts'
import { bedOf, ManualHost, until, use } from './beds.ts'
import type { RawHost } from './host.ts'
import { DISCOVERY, HOST, SUBSYSTEM } from './host.ts'

async function mirrored(options: Partial<NvmeArrayOfOptions> = {}, time?: ManualHost): Promise<Bed> {
  const target = memory({ volumes: [{ size: '1MiB' }, { size: '2MiB' }], ports: 2 })
  return bedOf(use(await nvmeArrayOf(target, { name: SUBSYSTEM, ...options }, time)), target)
}

const block = (byte: number): Buffer => Buffer.alloc(4096, byte)
const read = (io: RawHost, nsid = 1) => io.read(nsid, 0, 1, 4096)
const write = (io: RawHost, byte: number) => io.write(1, 0, block(byte), { blockSize: 4096 })

function crossReset(admin: RawHost, bed: Bed, at = 0) {
  const { id, instance, instanceRandom } = bed.array.controllers[at]!
  const random = BigInt(`0x${instanceRandom}`)
  return admin.command(0x38, {
    dwords: [id | (instance << 16), 0, Number(random & 0xffff_ffffn), Number(random >> 32n)],
  })
}

describe('a target behind an array', () => {
  it('has a port for each port, with the volumes that are mapped there', async () => {
    const { array, memory: target, admin } = await mirrored()
    expect(array.ports.length).toBe(2)
    target.array.unmap(1, 1)
    const list = async (port: number): Promise<number[]> => {
      const { data } = await (await admin({ port })).identify(2)
      return [data.readUInt32LE(0), data.readUInt32LE(4)]
    }
    await until(() => target.array.ports[1]!.paths <= 2, 'the unmapping')
    expect([await list(0), await list(1)]).toEqual([
      [1, 2],
      [1, 0],
    ])
    const host = await admin()
    const { data } = await host.identify(3, 1)
    expect(data.toString('hex')).toContain(target.array.volumes[0]!.id.slice(4))
  })

  it('shares data between ports', async () => {
    const { pair } = await mirrored()
    const [a, b] = [await pair(), await pair({ port: 1 })]
    expect((await write(a.io, 9)).status).toBe(0)
    expect((await read(b.io)).data).toEqual(block(9))
  })

  it('shows hosts to the array', async () => {
    const target = memory({ ports: 1 })
    const targetFor = (initiator: string) => memory({ array: target.array, initiator })
    const array = use(await nvmeArrayOf(target, { name: SUBSYSTEM, targetFor }))
    await bedOf(array, target).admin()
    expect(target.array.registrations.map(({ initiator }) => initiator)).toContain(HOST)
  })

  it('shows access states, in I/O, by an event and in the ANA log', async () => {
    const { memory: target, pair } = await mirrored()
    const [a, b] = [await pair(), await pair({ port: 1 })]
    await a.admin.setFeature(0x0b, 0x800)
    const event = a.admin.command(0x0c)
    target.array.setAccess(0, { port: 0 }, 'standby')
    expect((await event).result).toBe(0x0c_0302)
    expect((await read(a.io)).status).toBe(0x302)
    const stateOf = async ({ admin }: typeof a): Promise<number | undefined> =>
      (await admin.logPage(0x0c, 128)).data[32]
    expect([await stateOf(a), await stateOf(b)]).toEqual([3, 1])
    expect((await read(a.io, 2)).status).toBe(0)
  })

  it('loses its connections with a link, and lets nobody connect until it is back', async () => {
    const { memory: target, admin, pair } = await mirrored()
    const [a, b] = [await pair(), await pair({ port: 1 })]
    target.array.portDown(0)
    await Promise.all([a.io.gone(), a.admin.gone()])
    await expect(admin()).rejects.toThrow('has ended')
    await expect(admin({ subsystem: DISCOVERY })).rejects.toThrow('has ended')
    expect((await read(b.io)).status).toBe(0)
    target.array.portUp(0)
    await admin()
    await admin({ subsystem: DISCOVERY })
  })

  it('hangs with a port: what was sent runs at release', async () => {
    const { memory: target, pair } = await mirrored()
    const { admin, io } = await pair()
    target.array.hang(0)
    const cid = io.beginWrite(1, 0, block(1), { blockSize: 4096 })
    await until(() => target.array.ports[0]!.commands === 1, 'the command')
    expect((await admin.command(0x18)).status).toBe(0)
    target.array.release(0)
    expect((await io.finish(cid)).status).toBe(0)
  })

  it.each(['disable', 'crossReset', 'keepAlive'] as const)('%s fences what a hung port holds', async (how) => {
    for (const fences of [true, false]) {
      const time = new ManualHost()
      const made = await mirrored({ fences: { [how]: fences } }, time)
      const { array, memory: target, pair } = made
      const old = await pair({ kato: how === 'keepAlive' ? 100 : 60_000 })
      target.array.hang(0)
      old.io.beginWrite(1, 0, block(1), { blockSize: 4096 })
      await until(() => target.array.ports[0]!.commands === 1, 'the command')
      if (how !== 'disable') {
        old.io.close()
        old.admin.close()
      }
      const sibling = await pair({ port: 1 })
      if (how === 'disable') await old.admin.disable()
      else if (how === 'crossReset') expect((await crossReset(sibling.admin, made)).status).toBe(0)
      else time.advance(100)
      await until(() => how === 'disable' || array.controllers.length === 1, 'the end')
      expect((await write(sibling.io, 2)).status).toBe(0)
      target.array.release(0)
      await new Promise((resolve) => setTimeout(resolve, 5))
      expect((await read(sibling.io)).data).toEqual(block(fences ? 2 : 1))
    }
  })

  it('tells a reset that takes time by an event', async () => {
    const made = await mirrored()
    const { memory: target, pair } = made
    await pair({ kato: 60_000 })
    const sibling = await pair({ port: 1 })
    target.array.stickFences()
    const event = sibling.admin.command(0x0c)
    expect(await crossReset(sibling.admin, made)).toMatchObject({ status: 0, result: 0 })
    expect((await sibling.admin.logPage(0x1e, 16)).data[14]).toBe(0)
    target.array.freeFences()
    expect((await event).result >>> 0).toBe(0x1e_f402)
    expect((await sibling.admin.logPage(0x1e, 16)).data[14]).toBe(1)
  })

  it('is not disabled before its fences are through', async () => {
    const { memory: target, pair } = await mirrored()
    const { admin } = await pair()
    target.array.stickFences()
    await admin.setProperty(0x14, 0x0046_0000)
    await new Promise((resolve) => setTimeout(resolve, 5))
    expect(await admin.getProperty(0x1c)).toBe(1)
    target.array.freeFences()
    await admin.status((csts) => csts === 0)
    await admin.enable()
    expect((await admin.identify(2)).data.readUInt32LE(0)).toBe(1)
  })

  it('tells of volumes that grow, come, go, and are exchanged', async () => {
    const { memory: target, pair } = await mirrored()
    const { admin } = await pair()
    await admin.setFeature(0x0b, 0x100)
    const changed = async (what: () => unknown): Promise<number> => {
      await admin.logPage(4, 4096)
      const event = admin.command(0x0c)
      what()
      expect((await event).result).toBe(0x04_0002)
      return (await admin.logPage(4, 4096)).data.readUInt32LE(0)
    }
    expect(await changed(() => target.array.grow(0, '4MiB'))).toBe(1)
    expect((await admin.identify(0, 1)).data.readBigUInt64LE(0)).toBe(1024n)
    expect(await changed(() => target.array.addVolume({ size: '1MiB' }))).toBe(3)
    expect(await changed(() => target.array.unmap(1, 'all'))).toBe(2)
    expect(await changed(() => target.array.reuseLun(0, 2, target.array.volumes[0]!.id))).toBe(3)
    await until(() => true, 'a turn')
    expect((await admin.command(0x18)).status).toBe(0)
  })

  it('commands in a volume that is taken away end with "no such namespace", and the connection lives', async () => {
    const { memory: target, pair } = await mirrored()
    const { admin, io } = await pair()
    target.array.hang(0)
    const cid = io.begin(2, { nsid: 1, dwords: [0, 0, 0], read: 4096 })
    await until(() => target.array.ports[0]!.commands === 1, 'the command')
    target.array.unmap(0, 0)
    expect(await io.finish(cid)).toMatchObject({ status: 0x0b, dnr: true })
    await admin.command(0x18)
  })

  it('passes on the errors of the medium, and cuts where a path fails', async () => {
    const { memory: target, pair } = await mirrored()
    const { io } = await pair()
    target.array.fail({ volume: 0, offset: 8192, length: 4096, status: Errno.ENODATA })
    expect(await io.read(1, 2, 1, 4096)).toMatchObject({ status: 0x281, dnr: true })
    expect((await io.read(1, 3, 1, 4096)).status).toBe(0)
    target.array.heal()
    target.array.fail({ port: 0, status: Errno.EIO | PATH_ERROR })
    io.begin(2, { nsid: 1, dwords: [0, 0, 0], read: 4096 })
    await io.gone()
  })

  it('closes every path with its controller', async () => {
    const { array, memory: target, pair } = await mirrored()
    const paths = (): number => target.array.ports.reduce((sum, port) => sum + port.paths, 0)
    await until(() => paths() === 4, 'the paths of the array itself')
    const { admin } = await pair()
    expect(paths()).toBe(6)
    admin.close()
    await until(() => paths() === 4, 'the paths of the controller to be closed')
    await array.close()
    expect(paths()).toBe(0)
  })
})
