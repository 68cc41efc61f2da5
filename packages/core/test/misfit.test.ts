import { describe, expect, it } from 'vitest'
import { FakeTarget, LIMITS, open } from './support/rig.ts'

const quick = { multipath: { reconnectDelay: 100, reconnectDelayMax: 100 } }
const OTHER = { ...LIMITS, size: LIMITS.size / 2 }
const GROWN = { ...LIMITS, size: LIMITS.size * 2 }

/** A device of two paths, the second of which has gone down. */
async function oneLost() {
  const target = new FakeTarget(2)
  const { device, host } = await open(2, quick, target)
  const sizes: number[] = []
  device.events.on('resized', ({ size }) => sizes.push(size))
  const lose = (): void => void target.path(1).events.emit('down', new Error('gone'))
  return { target, device, host, sizes, lose }
}

describe('a path that comes back', () => {
  it.each([
    ['a smaller size', OTHER],
    ['a larger size', GROWN],
  ])('with %s than the others tell is not used, and the device keeps its size', async (_what, limits) => {
    const { target, device, host, sizes, lose } = await oneLost()
    target.limits = limits
    lose()
    await host.clock.advance(1000)
    expect(device.paths[1]).toMatchObject({ state: 'waiting' })
    expect(device.paths[1]?.reason).toContain(`its size is ${limits.size} bytes, and ${LIMITS.size} on path fake:0`)
    expect(target.path(1).closed).toBe(true)
    expect([device.limits.size, sizes]).toEqual([LIMITS.size, []])
  })

  it('with the new size is used once another path tells it, too', async () => {
    const { target, device, host, sizes, lose } = await oneLost()
    target.limits = GROWN
    lose()
    await host.clock.advance(1000)
    target.path(0).limits = GROWN
    target.path(0).events.emit('limits', GROWN)
    await host.clock.advance(1000)
    expect(device.state).toBe('active')
    expect([device.limits.size, sizes]).toEqual([GROWN.size, [GROWN.size]])
  })

  it.each([
    ['serial number', { serial: 'A1' }, { serial: 'B2' }],
    ['product', { product: 'ACME disk' }, { product: 'IET disk' }],
  ] as const)('with another %s is not used', async (what, one, other) => {
    const target = new FakeTarget(2)
    target.prepare = (path) => Object.assign(path, path.id === 'fake:0' ? one : other)
    const { device, host } = await open(2, quick, target)
    await host.clock.advance(1000)
    expect(device.paths[1]).toMatchObject({ state: 'waiting' })
    expect(device.paths[1]?.reason).toContain(
      `its ${what} is "${Object.values(other)[0]}", and "${Object.values(one)[0]}" on path fake:0`,
    )
    target.prepare = (path) => Object.assign(path, one)
    await host.clock.advance(1000)
    expect(device.state).toBe('active')
  })

  it('with another serial number is used where it tells it by another protocol', async () => {
    const target = new FakeTarget(3)
    target.infos = target.infos.map((info, index) => ({ ...info, protocol: index === 0 ? 'scsi' : 'nvme' }))
    target.prepare = (path) => Object.assign(path, { serial: path.id })
    const { device } = await open(3, quick, target)
    expect(device.paths.map(({ state, reason }) => [state, reason])).toEqual([
      ['up', ''],
      ['up', ''],
      ['waiting', 'path fake:2 is not used: its serial number is "fake:2", and "fake:1" on path fake:1'],
    ])
  })

  it('is used with any size where no other path is up', async () => {
    const { target, device, host, sizes, lose } = await oneLost()
    target.limits = OTHER
    lose()
    target.path(0).events.emit('down', new Error('gone'))
    await host.clock.advance(1000)
    expect(device.state).toBe('active')
    expect([device.limits.size, sizes]).toEqual([OTHER.size, [OTHER.size]])
  })
})

describe('a path that is up', () => {
  it('and tells first that the volume has grown stays; the device grows when all say so', async () => {
    const { target, device, sizes } = await oneLost()
    for (const index of [0, 1]) {
      target.path(index).limits = GROWN
      target.path(index).events.emit('limits', GROWN)
      expect(device.paths[index]?.state).toBe('up')
      expect(device.limits.size).toBe(index === 0 ? LIMITS.size : GROWN.size)
    }
    expect(sizes).toEqual([GROWN.size])
  })

  it('and tells alone that the volume is smaller is taken out, and the device keeps its size', async () => {
    const { target, device, host, sizes } = await oneLost()
    target.limits = OTHER
    target.path(1).limits = OTHER
    target.path(1).events.emit('limits', OTHER)
    await host.clock.advance(1000)
    expect(device.paths.map(({ state }) => state)).toEqual(['up', 'waiting'])
    expect([device.limits.size, sizes]).toEqual([LIMITS.size, []])
  })
})
