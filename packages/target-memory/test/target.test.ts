import { BlockError, Errno, IoOp, NOT_EXECUTED, PATH_ERROR } from '@blockbraid/core'
import { describe, expect, it } from 'vitest'
import { block, flush, read, rig, send, turn, write } from './helpers.ts'

const two = { volumes: [{ size: '1MiB' as const }, { size: '2MiB' as const, blockSize: 512 as const }] }
const NO_ACCESS = Errno.EAGAIN | PATH_ERROR | NOT_EXECUTED

describe('discover and connect', () => {
  it('lists every path with a stable id', async () => {
    const { target, array } = rig(two)
    const infos = await target.discover()
    expect(infos.length).toBe(8)
    expect(new Set(infos.map(({ id }) => id)).size).toBe(8)
    expect(infos[1]).toEqual({
      id: 'memory:array0/port0/lun1',
      address: 'array0 controller 0 port 0',
      volume: array.volumes[1]!.id,
      size: 2 * 2 ** 20,
      blockSize: 512,
      lun: '1',
      product: 'blockbraid memory array',
      serial: infos[1]!.volume.slice(-16),
    })
    expect(await target.discover()).toEqual(infos)
    const path = await target.connect(infos[1]!)
    expect(path).toMatchObject({ id: infos[1]!.id, volume: infos[1]!.volume, access: 'optimized' })
    expect(path.limits).toEqual({
      size: 2 * 2 ** 20,
      blockSize: 512,
      preferredBlockSize: 4096,
      maxTransfer: 4 * 2 ** 20,
      queueDepth: 128,
      writeCache: true,
      fua: true,
      trim: true,
      writeZeroes: true,
      readOnly: false,
    })
  })

  it('refuses a port that is down, a lun that is gone, an id that is not its own', async () => {
    const { target, array } = rig(two)
    const [info] = await target.discover()
    array.portDown(0)
    await expect(target.connect(info!)).rejects.toMatchObject({ code: 'CONNECT_FAILED' })
    array.portUp(0)
    array.unmap(0, 0)
    await expect(target.connect(info!)).rejects.toMatchObject({ code: 'CONNECT_FAILED' })
    const other = { ...info!, id: 'memory:array9/port0/lun0' }
    await expect(target.connect(other)).rejects.toThrow(TypeError)
    await expect(target.connect({ ...info!, id: 'memory:array0/port9/lun0' })).rejects.toMatchObject({
      code: 'CONNECT_FAILED',
    })
  })

  it('waits at a port that hangs until the signal, the release, the end of the port or of the target', async () => {
    const { target, array } = rig()
    const [info] = await target.discover()
    array.hang(0)
    expect((await target.discover()).length).toBe(4)
    const abort = new AbortController()
    const aborted = target.connect(info!, { signal: abort.signal })
    await turn()
    abort.abort()
    await expect(aborted).rejects.toMatchObject({ code: 'ABORTED' })
    const timeout = new AbortController()
    const late = target.connect(info!, { signal: timeout.signal })
    await turn()
    timeout.abort(new DOMException('late', 'TimeoutError'))
    await expect(late).rejects.toMatchObject({ code: 'TIMED_OUT' })
    const released = target.connect(info!)
    await turn()
    array.release(0)
    await (await released).close()
    array.hang(0)
    const cut = target.connect(info!)
    await turn()
    array.portDown(0)
    await expect(cut).rejects.toMatchObject({ code: 'CONNECT_FAILED' })
    array.portUp(0)
    const closing = target.connect(info!)
    await turn()
    await target.close()
    await expect(closing).rejects.toMatchObject({ code: 'CLOSED' })
  })

  it('does nothing for a signal that has fired', async () => {
    const { target, array } = rig()
    const signal = AbortSignal.abort()
    await expect(target.discover({ signal })).rejects.toMatchObject({ code: 'ABORTED' })
    const [info] = await target.discover()
    await expect(target.connect(info!, { signal })).rejects.toMatchObject({ code: 'ABORTED' })
    expect(array.registrations).toEqual([])
  })

  it('closes its own paths and nobody else’s', async () => {
    const one = rig()
    const other = rig({ array: one.array, initiator: 'host1' })
    const [mine, others] = [await one.open(0), await other.open(0)]
    await one.target.close()
    await one.target.close()
    expect(await flush(mine).end).not.toBe(0)
    expect(await flush(others).end).toBe(0)
    await expect(one.target.discover()).rejects.toMatchObject({ code: 'CLOSED' })
    expect(one.array.ports[0]!.paths).toBe(1)
  })

  it('registers each initiator once a path, however often it connects', async () => {
    const one = rig(two)
    const other = rig({ array: one.array, initiator: 'host1', name: 'again' })
    await (await one.open(0)).close()
    await (await one.open(0)).close()
    await one.open(1)
    await one.open(0, 1)
    expect((await other.open(0)).id).toBe('memory:again/port0/lun0')
    const [a, b] = one.array.volumes.map(({ id }) => id)
    expect(one.array.registrations).toEqual([
      { initiator: 'host0', port: 0, volume: a },
      { initiator: 'host0', port: 1, volume: a },
      { initiator: 'host0', port: 0, volume: b },
      { initiator: 'host1', port: 0, volume: a },
    ])
  })
})

describe('changes', () => {
  it('reach every target as news', async () => {
    const { target, array } = rig(two)
    const news: string[] = []
    target.events!.on('changed', (why) => news.push(why))
    const id = array.addVolume({ size: 4096, id: 't10.new' })
    expect(id).toBe('t10.new')
    expect((await target.discover()).length).toBe(12)
    array.grow(0, '2MiB')
    array.unmap(0, 'all')
    array.map(0, 2, 7)
    array.portDown(1)
    array.portUp(1)
    array.portUp(1)
    expect(news.map((why) => why.replace(/naa\.\w+/, 'V'))).toEqual([
      't10.new was added',
      'V has grown to 2097152 bytes',
      'V was unmapped',
      'V was mapped',
      'port 1 came up',
    ])
    expect((await target.discover()).map(({ id }) => id)).toContain('memory:array0/port2/lun7')
    await target.close()
    array.unmap(0, 'all')
    expect(news.length).toBe(5)
  })

  it('growth reaches paths, whose new blocks work', async () => {
    const { open, array } = rig()
    const path = await open(0)
    const before = path.limits
    const told: number[] = []
    path.events.on('limits', (limits) => told.push(limits.size))
    array.grow(0, '3MiB')
    expect(told).toEqual([3 * 2 ** 20])
    expect([before.size, path.limits.size]).toEqual([2 ** 20, 3 * 2 ** 20])
    expect(await write(path, 2 * 2 ** 20, block(1)).end).toBe(0)
    expect(() => array.grow(0, '1MiB')).toThrow('size is "1MiB"; it must be more than the present 3145728 bytes')
    expect(() => array.grow(0, 5 * 2 ** 20 + 1)).toThrow(/multiple of the block size/)
  })

  it('an unmapped volume takes its paths down, with nothing executed later', async () => {
    const { open, array } = rig()
    const path = await open(1)
    array.hang(1)
    const sent = write(path, 0, block(1))
    await turn()
    const down = new Promise<Error>((resolve) => path.events.on('down', resolve))
    array.unmap(0, 1)
    expect(await sent.end).toBe(Errno.EIO | PATH_ERROR)
    expect(await down).toMatchObject({ code: 'NOT_FOUND' })
    array.release(1)
    expect(array.peek(0, 0, 1)[0]).toBe(0)
    array.map(0, 1)
    expect(await read(await open(1), 0, 4096)).toEqual(block(0))
  })

  it('a reused LUN number takes paths down, and the old path info leads nowhere', async () => {
    const { open, array, target } = rig(two)
    const [info] = await target.discover()
    const path = await open(0, 0)
    const sent = write(path, 0, block(1))
    const down = new Promise<Error>((resolve) => path.events.on('down', resolve))
    array.reuseLun(0, 0, 1)
    expect(await sent.end).toBe(Errno.EIO | PATH_ERROR)
    const reason = await down
    expect(BlockError.is(reason) && reason.code).toBe('IDENTITY_CHANGED')
    await expect(target.connect(info!)).rejects.toMatchObject({ code: 'IDENTITY_CHANGED' })
    expect(array.peek(1, 0, 1)[0]).toBe(0)
    const now = (await target.discover()).find(({ id }) => id === info!.id)
    expect(now?.volume).toBe(array.volumes[1]!.id)
    expect((await target.connect(now!)).volume).toBe(array.volumes[1]!.id)
    expect(() => array.reuseLun(0, 9, 1)).toThrow('lun is 9; it must be in use on port 0')
    expect(() => array.map(0, 'all', 1)).toThrow('lun is 1; it must be free on port 0')
  })
})

describe('access', () => {
  it('is told, and stops I/O that is not executed', async () => {
    const { open, array } = rig()
    const path = await open(0)
    const told: string[] = []
    path.events.on('access', (access) => told.push(`${access} ${path.access}`))
    for (const access of ['standby', 'unavailable', 'transitioning'] as const) {
      array.setAccess(0, { port: 0 }, access)
      array.setAccess(0, { port: 0 }, access)
      expect(await write(path, 0, block(1)).end).toBe(NO_ACCESS)
      expect(await send(path, IoOp.Read, 0, 4096).end).toBe(NO_ACCESS)
      await expect(path.extents!(0, 4096)).rejects.toMatchObject({ code: 'IO_FAILED', errno: Errno.EAGAIN })
    }
    expect(array.peek(0, 0, 1)[0]).toBe(0)
    array.setAccess(0, { port: 0 }, 'non-optimized')
    expect(await write(path, 0, block(1)).end).toBe(0)
    expect(told).toEqual([
      'standby standby',
      'unavailable unavailable',
      'transitioning transitioning',
      'non-optimized non-optimized',
    ])
  })

  it('stands for a port, a controller, a volume or all', () => {
    const { array } = rig(two)
    const accesses = (): string[] => array.ports.map(({ luns }) => luns.map(({ access }) => access[0]).join(''))
    array.setAccess(0, { controller: 1 }, 'standby')
    expect(accesses()).toEqual(['oo', 'so', 'oo', 'so'])
    array.setAccess('all', { port: 2 }, 'unavailable')
    expect(accesses()).toEqual(['oo', 'so', 'uu', 'so'])
    array.setAccess(1, 'all', 'non-optimized')
    expect(accesses()).toEqual(['on', 'sn', 'un', 'sn'])
    expect(() => array.setAccess(0, { controller: 2 }, 'standby')).toThrow(/^controller is 2; it must be/)
    expect(() => array.setAccess(0, 'all', 'best' as 'standby')).toThrow(/^access is "best"; it must be optimized, /)
  })

  it.each(['standby', 'non-optimized'] as const)('activate exchanges the controllers of a %s path', async (idle) => {
    const { open, array } = rig(two)
    array.setAccess(0, { controller: 1 }, idle)
    array.setAccess(0, { port: 2 }, 'unavailable')
    const path = await open(1)
    await path.activate!()
    const accesses = array.ports.map(({ luns }) => luns[0]!.access)
    expect(accesses).toEqual([idle, 'optimized', 'unavailable', 'optimized'])
    expect(array.ports.map(({ luns }) => luns[1]!.access)).toEqual(new Array(4).fill('optimized'))
    await path.activate!()
    expect(array.ports.map(({ luns }) => luns[0]!.access)).toEqual(accesses)
  })

  it('activate and extents wait at a port that hangs, and fail on a dead path', async () => {
    const { open, array } = rig()
    const path = await open(0)
    array.hang(0)
    const abort = new AbortController()
    const waiting = path.activate!({ signal: abort.signal })
    abort.abort()
    await expect(waiting).rejects.toMatchObject({ code: 'ABORTED' })
    const held = path.extents!(0, 4096)
    array.release(0)
    expect(await held).toEqual([{ length: 4096, hole: true, zero: true }])
    array.hang(0)
    const cut = path.extents!(0, 4096)
    array.portDown(0)
    await expect(cut).rejects.toMatchObject({ code: 'IO_FAILED' })
    const other = await open(1)
    array.hang(1)
    const closed = other.activate!()
    await turn()
    await other.close()
    await expect(closed).rejects.toMatchObject({ code: 'CLOSED' })
    await expect(other.activate!()).rejects.toMatchObject({ code: 'CLOSED' })
  })
})

describe('run', () => {
  it('does by text what methods do', async () => {
    const { open, array } = rig(two)
    const path = await open(0)
    array.run('port 0 hang')
    array.run('  port 1   down ')
    array.run('port 2 slow 250')
    expect(array.ports).toMatchObject([{ hung: true }, { up: false }, { slow: 250 }, {}])
    array.run('port 0 release')
    array.run('port 1 up')
    array.run('controller 0 down')
    expect(array.ports.map(({ up }) => up)).toEqual([false, true, false, true])
    array.run('controller 0 up')
    array.run('volume 0 grow 3MiB')
    array.run(`volume ${array.volumes[1]!.id} grow ${4 * 2 ** 20}`)
    expect(array.volumes.map(({ size }) => size / 2 ** 20)).toEqual([3, 4])
    array.run('volume 0 unmap all')
    array.run('volume 0 map 3 9')
    array.run('port 3 lun 1 reuse 0')
    array.run('volume all access port 3 standby')
    array.run('volume 1 access controller 0 non-optimized')
    array.run('volume 1 access all unavailable')
    expect(array.ports[3]!.luns.map(({ lun, access }) => [lun, access])).toEqual([
      [9, 'standby'],
      [1, 'standby'],
    ])
    expect(array.ports[0]!.luns).toMatchObject([{ lun: 1, access: 'unavailable' }])
    array.run('fences stick')
    let settled = false
    const end = path.close().then(() => {
      settled = true
    })
    await turn()
    expect(settled).toBe(false)
    array.run('fences free')
    await end
  })

  it('lets commands fail and heal', async () => {
    const { open, array } = rig()
    const path = await open(0)
    array.run('port 0 fail 1 EIO path')
    expect(await flush(path).end).toBe(Errno.EIO | PATH_ERROR)
    array.run('heal')
    array.run('port 0 fail 1 EAGAIN not-executed')
    expect(await flush(path).end).toBe(NO_ACCESS)
    array.run('heal')
    array.run('volume 0 fail 4096 4096 ENODATA')
    expect(await send(path, IoOp.Read, 0, 8192).end).toBe(Errno.ENODATA)
    expect(await send(path, IoOp.Read, 0, 4096).end).toBe(0)
  })

  it.each([
    ['port 9 down', 'port is 9; it must be a whole number from 0 to 3'],
    ['port 0 fail 1 EWRONG', 'ERRNO is "EWRONG"; it must be one of EPERM, '],
    ['prot 0 down', 'command is "prot 0 down"; it must be one of: port N down; '],
    ['volume 7 grow 1MiB', 'volume is 7; it must be'],
    ['volume 0 grow 1MB', 'size is "1MB"; it must be'],
  ])('refuses %s', (command, message) => {
    expect(() => rig().array.run(command)).toThrow(message)
  })
})
