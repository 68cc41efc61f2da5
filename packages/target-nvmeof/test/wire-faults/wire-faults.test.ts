// What goes wrong on the wire, the same for every protocol that there is: under load, with every byte checked.
import { setTimeout as sleep } from 'node:timers/promises'
import type { MultipathDevice, PathSelector, PathView } from '@blockbraid/core'
import { openMultipath } from '@blockbraid/core'
import type { MemoryTarget } from '@blockbraid/target-memory'
import { memory } from '@blockbraid/target-memory'
import { afterEach, describe, expect, it } from 'vitest'
import type { Load } from './load.ts'
import { LOAD_SIZE, startLoad } from './load.ts'
import type { Action, Kind, Protocol, WireArray } from './protocols.ts'
import { protocols } from './protocols.ts'

const patient = { timeout: 20_000, interval: 5 }
let cleanUps: (() => Promise<unknown>)[] = []

afterEach(async () => {
  const all = cleanUps.reverse()
  cleanUps = []
  for (const end of all) await end()
})

interface Scene {
  readonly array: WireArray
  readonly storage: MemoryTarget
  readonly device: MultipathDevice
  readonly load: Load
  /** Times that paths failed. */
  failures(): number
  /** Waits until the load has gone on by so many I/Os. */
  goOn(ios: number): Promise<void>
  /** Waits until each path is up. */
  whole(): Promise<void>
  /** Ends the load, and looks at every byte, as it was read and as it is stored. */
  verify(): Promise<void>
}

interface SceneOptions {
  readonly digests?: boolean
  /** No path may fail, however slow the machine is. */
  readonly calm?: boolean
}

/** Takes the paths one after another. */
function inTurn(): PathSelector {
  let paths: readonly PathView[] = []
  let next = 0
  return {
    name: 'in turn',
    update(usable) {
      paths = usable
    },
    select: () => paths[next++ % paths.length],
  }
}

/** A device of two paths to one volume, under load. */
async function open(protocol: Protocol, { digests = false, calm = false }: SceneOptions = {}): Promise<Scene> {
  const storage = memory({ volumes: [{ size: LOAD_SIZE, blockSize: 4096 }], ports: 2 })
  cleanUps.push(() => storage.close({ signal: AbortSignal.timeout(2000) }).catch(() => {}))
  const array = await protocol.array(storage)
  cleanUps.push(() => array.close())
  const target = protocol.host(
    array.portals.map(({ address }) => address),
    { digests, calm },
  )
  cleanUps.push(() => target.close({ signal: AbortSignal.timeout(2000) }).catch(() => {}))
  const infos = await target.discover()
  expect(infos).toHaveLength(2)
  const device = await openMultipath(
    infos[0]!.volume,
    infos.map((info) => ({ target, info })),
    { selector: inTurn, multipath: { ioTimeout: calm ? 60_000 : 300, reconnectDelay: 10, reconnectDelayMax: 100 } },
  )
  cleanUps.push(() => device.close({ signal: AbortSignal.timeout(2000) }).catch(() => {}))
  const whole = async (): Promise<void> => {
    await expect.poll(() => device.paths.map(({ state }) => state), patient).toEqual(['up', 'up'])
  }
  await whole()
  const load = startLoad(device)
  cleanUps.push(() => load.stop())
  const goOn = async (ios: number): Promise<void> => {
    const until = load.count + ios
    await expect.poll(() => load.faults.length > 0 || load.count >= until, patient).toBe(true)
    expect(load.faults).toEqual([])
  }
  return {
    array,
    storage,
    device,
    load,
    failures: () => device.paths.reduce((sum, { failures }) => sum + failures, 0),
    goOn,
    whole,
    async verify() {
      array.heal()
      await whole()
      await goOn(100)
      await load.stop()
      expect(load.faults).toEqual([])
      expect(load.check((offset, length) => storage.array.peek(0, offset, length))).toEqual([])
      // An array blames the host for what was taken from it, and for what the host says of broken data.
      const provoked = calm ? /^$/ : protocol.provoked
      expect(array.violations.filter((text) => !provoked.test(text))).toEqual([])
    },
  }
}

type Row = readonly [what: string, kind: Kind, action: Action]

// What ends a path: the other one goes on, and this one comes back.
const fatal: readonly Row[] = [
  ['a command is lost', 'command', { drop: true }],
  ['data of a write is lost', 'writeData', { drop: true }],
  ['what asks for data is lost', 'ask', { drop: true }],
  ['data of a read is lost', 'readData', { drop: true }],
  ['an answer is lost', 'answer', { drop: true }],
  ['the connection ends before an answer', 'answer', { cut: 0 }],
  ['the connection ends in the middle of an answer', 'answer', { cut: 11 }],
  ['the connection ends in the middle of data', 'readData', { cut: 5000 }],
  ['the connection is reset in the middle of data', 'readData', { cut: 5000, reset: true }],
  ['the connection ends where data is asked for', 'ask', { cut: 24 }],
  ['the connection ends with a command', 'command', { cut: 0 }],
  ['the connection is reset with data of a write', 'writeData', { cut: 0, reset: true }],
]

// What takes its time, and hurts nobody.
const harmless: readonly Row[] = [
  ['answers come late, and others overtake them', 'answer', { delay: 20 }],
  ['data is asked for late', 'ask', { delay: 20 }],
  ['answers come in another order', 'answer', { reorder: 10 }],
  ['data of reads comes in another order', 'readData', { reorder: 10 }],
  ['data is asked for in another order', 'ask', { reorder: 10 }],
]

// What digests find.
const corrupt: readonly Row[] = [
  ['the head of an answer', 'answer', { corrupt: 2 }],
  ['the digest of an answer', 'answer', { corrupt: -1 }],
  ['the head of data', 'readData', { corrupt: 12 }],
  ['data of a read', 'readData', { corrupt: 4000 }],
  ['the digest of data', 'readData', { corrupt: -1 }],
  ['what asks for data', 'ask', { corrupt: 13 }],
]

describe.each(protocols.map((protocol) => [protocol.name, protocol] as const))('%s', (_name, protocol) => {
  it.each(fatal)('%s: a path fails, and no byte is wrong', async (_what, kind, action) => {
    const scene = await open(protocol)
    // What is lost is missed after a while, and a host has patience with who answers others.
    const rounds = 'drop' in action ? 1 : 2
    for (let round = 0; round < rounds; round++) {
      const before = scene.failures()
      const fault = scene.array.fault(kind, action, { count: 1, after: 7 })
      await expect.poll(() => scene.failures(), patient).toBeGreaterThan(before)
      expect(fault.hits).toBe(1)
      await scene.whole()
      await scene.goOn(50)
    }
    await scene.verify()
  })

  it.each(harmless)('%s: no path fails, and no byte is wrong', async (_what, kind, action) => {
    const scene = await open(protocol, { calm: true })
    const fault = scene.array.fault(kind, action, { rate: 0.2 })
    await expect.poll(() => fault.hits, patient).toBeGreaterThan(20)
    await scene.goOn(100)
    expect(scene.failures()).toBe(0)
    await scene.verify()
  })

  it.each(corrupt)('a byte changes in %s: digests find it, and no byte is wrong', async (_what, kind, action) => {
    const scene = await open(protocol, { digests: true })
    for (let round = 0; round < 2; round++) {
      const fault = scene.array.fault(kind, action, { count: 2, after: 7 })
      await expect.poll(() => fault.hits, patient).toBe(2)
      await scene.whole()
      await scene.goOn(50)
    }
    await scene.verify()
  })

  it('a byte changes in data of a read, without digests: it is read wrong, so the test above can fail', async () => {
    const scene = await open(protocol)
    scene.array.fault('readData', { corrupt: 4000 }, { rate: 0.1 })
    await expect.poll(() => scene.load.faults.length, patient).toBeGreaterThan(0)
    expect(scene.load.faults[0]).toMatch(/^at \d+: wanted /)
  })

  it.each(['cut', 'reset'] as const)('a portal ends every connection again and again: %s', async (how) => {
    const scene = await open(protocol)
    for (let round = 0; round < 4; round++) {
      const before = scene.failures()
      scene.array.portals[round % 2]![how]()
      await expect.poll(() => scene.failures(), patient).toBeGreaterThan(before)
      await scene.goOn(20)
      await scene.whole()
    }
    await scene.verify()
  })

  it('both portals end every connection at once', async () => {
    const scene = await open(protocol)
    for (let round = 0; round < 2; round++) {
      for (const portal of scene.array.portals) portal.reset()
      await scene.whole()
      await scene.goOn(50)
    }
    await scene.verify()
  })

  it('a portal goes, stays away, and comes back', async () => {
    const scene = await open(protocol)
    for (const portal of scene.array.portals) {
      const before = scene.failures()
      await portal.down()
      await expect.poll(() => scene.failures(), patient).toBeGreaterThan(before)
      await scene.goOn(100)
      await portal.up()
      await scene.whole()
    }
    await scene.verify()
  })

  it('a portal is a black hole for a while, and what it swallowed comes out later', async () => {
    const scene = await open(protocol)
    for (const portal of scene.array.portals) {
      const before = scene.failures()
      portal.blackhole(true)
      await expect.poll(() => scene.failures(), patient).toBeGreaterThan(before)
      await scene.goOn(100)
      portal.blackhole(false)
      await scene.whole()
      await scene.goOn(50)
    }
    await scene.verify()
  })

  it('a black hole that is over soon is not noticed', async () => {
    const scene = await open(protocol, { calm: true })
    const [portal] = scene.array.portals
    portal!.blackhole(true)
    await sleep(100)
    portal!.blackhole(false)
    await scene.goOn(100)
    expect(scene.failures()).toBe(0)
    await scene.verify()
  })

  it('everything at once', async () => {
    const scene = await open(protocol, { digests: true })
    const rare = { rate: 0.003 }
    const faults = [...fatal, ...corrupt].map(([, kind, action]) => scene.array.fault(kind, action, rare))
    for (const [, kind, action] of harmless) scene.array.fault(kind, action, { rate: 0.05 })
    const hits = (): number => faults.reduce((sum, fault) => sum + fault.hits, 0)
    await expect.poll(() => hits() > 9 && scene.failures() > 4, patient).toBe(true)
    expect(scene.load.faults).toEqual([])
    await scene.verify()
  })
})
