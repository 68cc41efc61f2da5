import type { DeviceLimits } from '@blockbraid/core'
import { Errno, IoFlag, IoOp } from '@blockbraid/core'
import { describe, expect, it } from 'vitest'
import { createMemoryArray } from '../src/index.ts'
import { block, flush, read, rig, send, write } from './helpers.ts'

const lose = (): number => 1
const twins = { volumes: [{ size: '1MiB' as const }, { size: '512KiB' as const, id: 't10.twin' as const }] }

describe('a volume that changes', () => {
  it('tells its paths, whose next commands meet what it is now', async () => {
    const { open, array } = rig()
    const [path, other] = [await open(0), await open(1)]
    const told: DeviceLimits[] = []
    path.events.on('limits', (limits) => told.push(limits))
    other.events.on('limits', (limits) => told.push(limits))
    array.change(0, { readOnly: true })
    expect(told.map(({ readOnly }) => readOnly)).toEqual([true, true])
    expect(path.limits).toBe(told[0])
    expect(await write(path, 0, block(1)).end).toBe(Errno.EPERM)
    array.change(0, { readOnly: false, trim: false, writeZeroes: false, fua: false })
    expect(path.limits).toMatchObject({
      readOnly: false,
      trim: false,
      writeZeroes: false,
      fua: false,
      writeCache: true,
    })
    expect(array.volumes[0]).toMatchObject({
      readOnly: false,
      trim: false,
      writeZeroes: false,
      fua: false,
      writeCache: true,
    })
    expect(await send(path, IoOp.Trim, 0, 4096).end).toBe(Errno.EOPNOTSUPP)
    expect(await send(path, IoOp.WriteZeroes, 0, 4096).end).toBe(Errno.EOPNOTSUPP)
    expect(await write(path, 0, block(1)).end).toBe(0)
  })

  it('shrinks: what stood behind the end is gone, and stays so when it grows again', async () => {
    const { open, array, target } = rig({ log: true })
    const path = await open(0)
    const news: string[] = []
    target.events!.on('changed', (why) => news.push(why.replace(/naa\.\w+/, 'V')))
    await write(path, 0, block(1, 128 * 1024), IoFlag.Fua).end
    array.change(0, { size: '64KiB' })
    expect([path.limits.size, array.volumes[0]!.size]).toEqual([65_536, 65_536])
    expect(await write(path, 65_536, block(2)).end).not.toBe(0)
    expect(await read(path, 61_440, 4096)).toEqual(block(1))
    expect(array.lostWrites(0, array.crashImage(0, lose))).toEqual([])
    array.change(0, { size: '1MiB' })
    expect(await read(path, 65_536, 4096)).toEqual(block(0))
    expect(array.lostWrites(0, array.crashImage(0, lose))).toEqual([])
    expect(news).toEqual(['V has shrunk to 65536 bytes', 'V has grown to 1048576 bytes'])
  })

  it('without Fua does nothing for the flag', async () => {
    const { open, array } = rig({ log: true, volumes: [{ size: '1MiB', fua: false }] })
    const path = await open(0)
    expect(path.limits.fua).toBe(false)
    await write(path, 0, block(1), IoFlag.Fua).end
    expect(array.crashImage(0, lose).read(0, 1)[0]).toBe(0)
  })

  it('is write-protected at one port, which tells its path', async () => {
    for (const log of [false, true]) {
      const { open, array } = rig({ log })
      const [path, other] = [await open(0), await open(1)]
      array.run('volume 0 protect 0 on')
      expect([path.limits.readOnly, other.limits.readOnly]).toEqual([true, false])
      expect([await write(path, 0, block(1)).end, await write(other, 0, block(2)).end]).toEqual([Errno.EROFS, 0])
      expect(await read(path, 0, 4096)).toEqual(block(2))
      array.protect(0, 'all', false)
      expect(path.limits.readOnly).toBe(false)
      expect(await write(path, 0, block(1)).end).toBe(0)
      expect(() => array.protect(0, 9, true)).toThrow('port is 9')
    }
  })

  it('does so by text too', () => {
    const { array } = rig()
    array.run('volume 0 size 512KiB')
    for (const flag of ['read-only on', 'write-cache off', 'fua off', 'trim off', 'write-zeroes off'])
      array.run(`volume 0 ${flag}`)
    expect(array.volumes[0]).toMatchObject({
      size: 524_288,
      readOnly: true,
      writeCache: false,
      fua: false,
      trim: false,
      writeZeroes: false,
    })
    array.run('volume 0 read-only off')
    expect(array.volumes[0]!.readOnly).toBe(false)
  })

  it.each([
    [{ size: 1 }, 'size is 1; it must be a multiple of the block size'],
    [{ readOnly: 'yes' }, 'readOnly is "yes"; it must be true or false'],
    [{ blockSize: 512 }, 'changes.blockSize is unknown; known are size, '],
  ])('refuses %j', (changes, message) => {
    expect(() => rig().array.change(0, changes as never)).toThrow(message)
  })
})

describe('two disks of one name', () => {
  it('are two in contents, faults and log, and need to be meant', async () => {
    const { open, array, target } = rig({ log: true, ...twins })
    const id = array.addVolume({ size: '64KiB', id: 't10.twin', duplicateId: true })
    expect(() => array.addVolume({ size: '64KiB', id })).toThrow(
      /volume.id is "t10.twin"; it must be the identity of no other/,
    )
    const infos = (await target.discover()).filter(({ volume }) => volume === id)
    expect(infos.slice(0, 2).map(({ id: path, size }) => [path, size])).toEqual([
      ['memory:array0/port0/lun1', 524_288],
      ['memory:array0/port0/lun2', 65_536],
    ])
    const [one, two] = [await target.connect(infos[0]!), await target.connect(infos[1]!)]
    await write(one, 0, block(1), IoFlag.Fua).end
    await write(two, 0, block(2), IoFlag.Fua).end
    expect([array.peek(1, 0, 1)[0], array.peek(2, 0, 1)[0], array.peek(id, 0, 1)[0]]).toEqual([1, 2, 1])
    expect([array.crashImage(1, lose), array.crashImage(2, lose)].map((image) => image.read(0, 1)[0])).toEqual([1, 2])
    expect(array.log.map(({ volume, volumeNumber }) => [volume, volumeNumber])).toEqual([
      [id, 1],
      [id, 2],
    ])
    array.fail({ volume: 2, status: Errno.EIO })
    expect([await flush(one).end, await flush(two).end]).toEqual([0, Errno.EIO])
    // Nobody notices by the identity that the address leads elsewhere now.
    array.heal()
    array.reuseLun(0, 1, 2)
    const exchanged = await target.connect(infos[0]!)
    expect(await read(exchanged, 0, 4096)).toEqual(block(2))
    expect((await open(0)).volume).toBe(array.volumes[0]!.id)
  })

  it('may stand in different arrays', () => {
    const volumes = [{ size: 65_536, id: 't10.twin' as const }]
    const [one, two] = [createMemoryArray({ volumes }), createMemoryArray({ name: 'array1', volumes })]
    expect(one.volumes[0]!.id).toBe(two.volumes[0]!.id)
    expect(() =>
      createMemoryArray({ volumes: [...volumes, { size: 65_536, id: 't10.twin', duplicateId: true }] }),
    ).not.toThrow()
  })
})
