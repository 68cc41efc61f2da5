import { describe, expect, it } from 'vitest'
import type { DeviceLimits, PathInfo, VolumeId } from '../src/index.ts'
import { BlockError, createHostAgent, IoOp, OK, openMultipath, userDevice } from '../src/index.ts'
import { FakeTarget, inTurn, LIMITS, LOST, send, VOLUME, virtualHost } from './support/rig.ts'
import { change, look, ok, toyCommands } from './support/toy-commands.ts'

const UUID: VolumeId = 'uuid.2ad5c0ea-3f1d-4b6b-9e2b-6f7b6b3a9d10'

/** Two paths to a volume by one protocol, with its own product and serial number; each takes commands of it. */
function speaking(protocol: string, limits: DeviceLimits = LIMITS, volume: VolumeId = VOLUME): FakeTarget {
  const target = new FakeTarget(2, protocol, volume)
  const told = { protocol, product: `disk by ${protocol}`, serial: `${protocol} 1`, endpoint: `${protocol} target` }
  target.infos = target.infos.map((info): PathInfo => ({ ...info, ...told, lun: protocol === 'nvme' ? '1' : '0' }))
  target.limits = limits
  target.prepare = (path) => {
    Object.assign(path, { product: told.product, serial: told.serial })
    path.commands = toyCommands(async () => ({ ...ok, text: `${path.id} ran it` }), protocol)
  }
  return target
}

async function openMixed(scsi = speaking('scsi'), nvme = speaking('nvme')) {
  const host = virtualHost(1)
  const multipath = { reconnectDelay: 10_000, reconnectDelayMax: 10_000 }
  const device = await host.clock.runUntil(
    openMultipath(VOLUME, [...scsi.sources, ...nvme.sources], { selector: inTurn, host, multipath }),
  )
  return { device, host, scsi, nvme }
}

/** Loses both paths of a target; what is returned settles the fence of one. */
function lose(target: FakeTarget): (index: number) => void {
  const proofs = [0, 1].map((index) => {
    const path = target.path(index)
    target.refuse.set(path.id, 'gone')
    let settle = (): void => {}
    path.fence = new Promise((resolve) => {
      settle = resolve
    })
    path.events.emit('down', new Error('gone'))
    path.complete(LOST)
    return settle
  })
  return (index) => proofs[index]?.()
}

describe('a device with paths of two protocols', () => {
  it('uses all of them, though they tell other products and serial numbers', async () => {
    const { device, scsi, nvme } = await openMixed()
    expect(device.state).toBe('active')
    for (let i = 0; i < 4; i++) send(device, IoOp.Read)
    expect([scsi, nvme].flatMap((target) => [0, 1].map((index) => target.path(index).held.length))).toEqual([
      1, 1, 1, 1,
    ])
  })

  it('moves a read to the other protocol at once, and a write after the fence of the path that it was sent through', async () => {
    const { device, host, scsi, nvme } = await openMixed()
    const read = send(device, IoOp.Read)
    const write = send(device, IoOp.Write, 4096)
    const prove = lose(scsi)
    const moved = (): number[] => [0, 1].flatMap((index) => nvme.path(index).seen.map(([op]) => op))
    await host.clock.advance(100)
    expect(moved()).toEqual([IoOp.Read])
    // The read's path is not the write's.
    prove(0)
    await host.clock.advance(100)
    expect(moved()).toEqual([IoOp.Read])
    prove(1)
    await host.clock.advance(100)
    expect(moved().sort()).toEqual([IoOp.Read, IoOp.Write].sort())
    nvme.completeAll()
    expect([read.status, write.status]).toEqual([OK, OK])
  })

  it('sends commands to paths of their protocol, and is told where none of it is left', async () => {
    const { device, host, scsi } = await openMixed()
    expect(await device.sendCommand('nvme', look)).toMatchObject({ text: 'nvme:0 ran it' })
    expect(await device.sendCommand('scsi', look)).toMatchObject({ text: 'scsi:0 ran it' })
    lose(scsi)
    await host.clock.advance(100)
    expect(await device.sendCommand('nvme', look)).toMatchObject({ text: 'nvme:0 ran it' })
    await expect(device.sendCommand('scsi', look)).rejects.toMatchObject({
      code: 'NOT_SUPPORTED',
      message: `no path to volume ${VOLUME} that is up takes SCSI commands`,
    })
  })

  it('holds writes through both protocols until a command of one that was lost can come no more', async () => {
    const { device, host, scsi, nvme } = await openMixed()
    let settle = (): void => {}
    scsi.path(0).fence = new Promise((resolve) => {
      settle = resolve
    })
    scsi.path(0).commands = toyCommands(async () => {
      throw new BlockError('IO_FAILED', 'the connection was lost')
    }, 'scsi')
    await expect(device.sendCommand('scsi', change, 0, { path: 'scsi:0' })).rejects.toMatchObject({ code: 'IO_FAILED' })
    const write = send(device, IoOp.Write)
    await host.clock.advance(100)
    expect([scsi.path(1), ...[0, 1].map((index) => nvme.path(index))].map(({ held }) => held.length)).toEqual([0, 0, 0])
    settle()
    await host.clock.advance(100)
    nvme.completeAll()
    scsi.completeAll()
    expect(write.status).toBe(OK)
  })

  it('can do what the paths of both can, and takes what each of them takes in parts', async () => {
    const narrow = { ...LIMITS, maxTransfer: 8192, fua: false, writeZeroes: false, writeCache: false, queueDepth: 8 }
    const { device, host, nvme } = await openMixed(speaking('scsi'), speaking('nvme', narrow))
    expect(device.limits).toMatchObject({
      size: LIMITS.size,
      maxTransfer: 8192,
      fua: false,
      trim: true,
      writeZeroes: false,
      writeCache: true,
      queueDepth: 2 * LIMITS.queueDepth + 2 * 8,
    })
    lose(nvme)
    await host.clock.advance(100)
    expect(device.limits).toMatchObject({ fua: true, writeZeroes: true, maxTransfer: LIMITS.maxTransfer })
  })

  it('does not use paths whose blocks or size are not those of the others', async () => {
    const blocks = await openMixed(speaking('scsi'), speaking('nvme', { ...LIMITS, blockSize: 4096 }))
    expect(blocks.device.paths.map(({ state }) => state)).toEqual(['up', 'up', 'waiting', 'waiting'])
    expect(blocks.device.paths[2]?.reason).toContain("its block size is 4096 bytes, the volume's is 512")
    const size = await openMixed(speaking('scsi'), speaking('nvme', { ...LIMITS, size: LIMITS.size * 2 }))
    expect(size.device.paths[2]?.reason).toContain(`its size is ${2 * LIMITS.size} bytes, and ${LIMITS.size} on path`)
  })

  it('that one protocol says is read-only takes changes through the other', async () => {
    const { device, scsi, nvme } = await openMixed(speaking('scsi', { ...LIMITS, readOnly: true }))
    expect(device.limits.readOnly).toBe(false)
    for (let i = 0; i < 4; i++) send(device, IoOp.Write, i * 512)
    expect([0, 1].map((index) => scsi.path(index).held.length)).toEqual([0, 0])
    expect([0, 1].map((index) => nvme.path(index).held.length)).toEqual([2, 2])
  })
})

describe('a volume that two protocols know by other identities', () => {
  it('is one device where the config says so, and two where it does not', async () => {
    const targets = [speaking('scsi'), speaking('nvme', LIMITS, UUID)]
    const host = virtualHost(1)
    const apart = createHostAgent({ targets, host })
    await host.clock.runUntil(apart.rescan())
    expect(apart.devices().filter(({ kind }) => kind === 'multipath')).toHaveLength(2)
    const agent = createHostAgent({ targets, host, same: [[VOLUME, UUID]] })
    expect((await host.clock.runUntil(agent.rescan())).errors).toEqual([])
    const [volume, ...more] = agent.devices().filter(({ kind }) => kind === 'multipath')
    expect(more).toEqual([])
    expect(volume).toMatchObject({ id: VOLUME, paths: ['scsi:0', 'scsi:1', 'nvme:0', 'nvme:1'] })
    // No word for both.
    expect(volume).not.toHaveProperty('serial')
    expect(volume).not.toHaveProperty('lun')
    const device = await host.clock.runUntil(agent.open(VOLUME))
    const user = userDevice(device, host.clock)
    expect(await user.sendCommand('nvme', look)).toMatchObject({ text: 'nvme:0 ran it' })
    await host.clock.runUntil(agent.close())
  })
})
