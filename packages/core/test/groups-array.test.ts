import type { MemoryArray } from '@blockbraid/target-memory'
import { createMemoryArray, memory } from '@blockbraid/target-memory'
import type { VirtualHost } from '@blockbraid/testkit'
import { virtualHost } from '@blockbraid/testkit'
import { describe, expect, it } from 'vitest'
import type { MultipathDevice, MultipathOptions } from '../src/index.ts'
import { Io, IoOp, OK, openMultipath } from '../src/index.ts'
import { inTurn } from './support/rig.ts'

const BLOCK = 4096
const SEEDS = [1, 2]

/** Ports 0 and 2 are of the first controller, 1 and 3 of the other. */
function arrayOf(host: VirtualHost, options: Parameters<typeof createMemoryArray>[0] = {}): MemoryArray {
  return createMemoryArray(
    { volumes: [{ size: '1MiB' }], ports: 4, latency: { base: 100, jitter: 400 }, ...options },
    host,
  )
}

/** A host of its own, which sees these ports. */
async function hostOf(
  array: MemoryArray,
  host: VirtualHost,
  name: string,
  ports: readonly number[],
  multipath: MultipathOptions,
) {
  const target = memory({ array, initiator: name, name }, host)
  const infos = (await target.discover()).filter(({ id }) => ports.some((port) => id.includes(`/port${port}/`)))
  const sources = infos.map((info) => ({ target, info }))
  const opening = openMultipath(infos[0]!.volume, sources, { host, selector: inTurn, multipath })
  return host.clock.runUntil(opening)
}

/** A client that writes blocks of its own, one after the other, and reads each back; what is not as it was written is told. */
function client(device: MultipathDevice, host: VirtualHost, first: number, blocks: number) {
  const state = { writes: 0, wrong: [] as string[], longest: 0, stop: false, ended: Promise.resolve() }
  const written = new Map<number, number>()
  const once = (op: IoOp, block: number, data: Uint8Array): Promise<number> =>
    new Promise((resolve) => {
      const io = new Io()
      io.op = op
      io.offset = block * BLOCK
      io.length = BLOCK
      io.buffers = [data]
      io.done = (_io, status) => resolve(status)
      device.submit(io)
    })
  const run = async (): Promise<void> => {
    for (let round = 1; !state.stop; round++) {
      const block = first + Math.floor(host.random() * blocks)
      const since = host.clock.now()
      const status = await once(IoOp.Write, block, new Uint8Array(BLOCK).fill(round % 251))
      if (status !== OK) state.wrong.push(`write of block ${block} ended with ${status}`)
      else written.set(block, round % 251)
      state.longest = Math.max(state.longest, (host.clock.now() - since) / 1000)
      const back = new Uint8Array(BLOCK)
      const [which] = [...written.keys()].slice(-1 - Math.floor(host.random() * written.size))
      if (which !== undefined) {
        const readStatus = await once(IoOp.Read, which, back)
        if (readStatus !== OK) state.wrong.push(`read of block ${which} ended with ${readStatus}`)
        else if (back.some((byte) => byte !== written.get(which))) state.wrong.push(`block ${which} is ${back[0]}`)
      }
      state.writes++
      await new Promise<void>((resolve) => void host.clock.after(100, resolve))
    }
  }
  state.ended = run()
  return state
}

describe.each(SEEDS)('on one simulated array under load (seed %i)', (seed) => {
  it('a controller that comes and goes gets no I/O until it has stayed for the delay of failback', async () => {
    const host = virtualHost(seed)
    const array = arrayOf(host)
    array.setAccess('all', { controller: 1 }, 'non-optimized')
    const device = await hostOf(array, host, 'one', [0, 1, 2, 3], { failback: 20_000, keepAlive: 0, flapping: false })
    await host.clock.advance(2000)
    const load = client(device, host, 0, 64)
    const iosOf = (): number[] => device.paths.map(({ ios }) => ios)
    await host.clock.advance(500)
    array.controllerDown(0)
    await host.clock.advance(500)
    const before = iosOf()
    for (let flap = 0; flap < 6; flap++) {
      array.controllerUp(0)
      await host.clock.advance(1000 + 15_000 * host.random())
      array.controllerDown(0)
      await host.clock.advance(3000 * host.random())
    }
    expect([iosOf()[0], iosOf()[2]]).toEqual([before[0], before[2]])
    array.controllerUp(0)
    await host.clock.runUntil(() => device.paths.every(({ state }) => state === 'up'))
    await host.clock.advance(15_000)
    expect([iosOf()[0], iosOf()[2]]).toEqual([before[0], before[2]])
    await host.clock.advance(25_000)
    expect(iosOf()[0]).toBeGreaterThan(before[0]!)
    expect(device.state).toBe('active')
    load.stop = true
    await host.clock.runUntil(load.ended)
    expect(load.wrong).toEqual([])
    expect(load.writes).toBeGreaterThan(300)
  })

  it('the preferred bit moves from port to port, and no I/O is lost or late', async () => {
    const host = virtualHost(seed)
    const array = arrayOf(host)
    const device = await hostOf(array, host, 'one', [0, 1, 2, 3], {})
    const load = client(device, host, 0, 64)
    for (let move = 0; move < 100; move++) {
      array.prefer(0, { port: Math.floor(host.random() * 4) }, host.random() < 0.6)
      await host.clock.advance(250 * host.random())
    }
    array.prefer(0, 'all', false)
    array.prefer(0, { port: 3 }, true)
    await host.clock.advance(50)
    const before = device.paths.map(({ ios }) => ios)
    await host.clock.advance(1000)
    expect(device.paths.map(({ ios }, index) => ios > before[index]!)).toEqual([false, false, false, true])
    load.stop = true
    await host.clock.runUntil(load.ended)
    expect(load.wrong).toEqual([])
  })

  it('two hosts that each see one controller both go on, and the volume moves less and less often', async () => {
    const host = virtualHost(seed)
    const array = arrayOf(host, { transitionDelay: 300_000, transitionTime: 5000 })
    array.setAccess('all', { controller: 1 }, 'standby')
    const moves: number[] = []
    const watch = memory({ array, initiator: 'watch' }, host)
    const path = await watch.connect((await watch.discover())[0]!)
    path.events.on('access', (access) => void (access === 'optimized' && moves.push(host.clock.now() / 1000)))
    const devices = [
      await hostOf(array, host, 'one', [0, 2], { keepAlive: 0 }),
      await hostOf(array, host, 'two', [1, 3], { keepAlive: 0 }),
    ]
    const loads = devices.map((device, number) => client(device, host, 128 * number, 64))
    await host.clock.advance(180_000)
    for (const load of loads) load.stop = true
    await host.clock.runUntil(Promise.all(loads.map(({ ended }) => ended)))
    for (const { wrong, writes, longest } of loads) {
      expect(wrong).toEqual([])
      expect(writes).toBeGreaterThan(150)
      expect(longest).toBeLessThan(12_000)
    }
    // In the last minute; in the first they still learn.
    expect(moves.filter((at) => at > 120_000).length).toBeLessThanOrEqual(6)
  })

  it('transitions that end, and one that does not, cost no I/O where another controller can be activated', async () => {
    const host = virtualHost(seed)
    const array = arrayOf(host, { transitionTime: 4000 })
    array.setAccess('all', { controller: 1 }, 'standby')
    const device = await hostOf(array, host, 'one', [0, 1, 2, 3], { keepAlive: 0 })
    const load = client(device, host, 0, 64)
    for (let round = 0; round < 10; round++) {
      array.setAccess('all', { controller: 0 }, 'transitioning')
      await host.clock.advance(3900 * host.random())
      array.setAccess('all', { controller: 0 }, 'optimized')
      await host.clock.advance(500)
    }
    expect(array.ports.map(({ luns }) => luns[0]?.access)).toEqual(['optimized', 'standby', 'optimized', 'standby'])
    array.setAccess('all', { controller: 0 }, 'transitioning')
    await host.clock.advance(4200)
    expect(array.ports[1]?.luns[0]?.access).toBe('optimized')
    expect(device.paths[0]).toMatchObject({ access: expect.stringMatching(/unavailable|optimized/) })
    load.stop = true
    await host.clock.runUntil(load.ended)
    expect(load.wrong).toEqual([])
    expect(load.longest).toBeLessThan(4500)
  })
})
