import type { NvmeArrayOptions, NvmeController } from '@blockbraid/array-nvmeof'
import { IoOp, OK } from '@blockbraid/core'
import { describe, expect, test } from 'vitest'
import type { NvmeofOptions } from '../../src/index.ts'
import type { Paths, Wire } from './wire-rig.ts'
import { holdWrite, NEW, OLD, openDevice, run, wire } from './wire-rig.ts'

const patient = { timeout: 15_000, interval: 5 }

/** The controller through a port. */
function at({ array }: Wire, port: number): NvmeController {
  const found = array.controllers.filter((one) => one.port === port && !one.discovery)
  expect(found).toHaveLength(1)
  return found[0]!
}

interface Story {
  readonly options?: Partial<NvmeArrayOptions>
  readonly host?: Partial<NvmeofOptions>
  /** Takes the path away, after the array has taken the write. */
  lose(made: Wire, paths: Paths): unknown
  /** When the write has been moved, and overwritten. */
  readonly after?: (made: Wire) => unknown
}

/**
 * A write is held by the array, its path is lost, the write is done through the other path and overwritten by a newer one;
 * then the array is let execute what it has held. Returns what stands on the volume, and how it was fenced.
 */
async function lateWrite({ options = {}, host = {}, lose, after }: Story, fences = true) {
  const made = await wire(options)
  const paths = await openDevice(made, made.host(host), { fences })
  const { hold, old } = await holdWrite(made, paths)
  await lose(made, paths)
  expect(await old).toBe(OK)
  expect(await run(paths.device, IoOp.Write, NEW)).toBe(OK)
  expect(made.stored()).toBe(NEW)
  await after?.(made)
  hold.release()
  // Whatever it has is executed by now.
  await new Promise((resolve) => setTimeout(resolve, 50))
  return { ...made, paths, stands: made.stored(), proof: paths.proof() }
}

const NO_RESETS = { crossResets: 0 }
// Misses a dead path soon, and is missed soon.
const SOON = { keepAliveTimeout: 250 }

const lostQueue: Story = {
  lose: (made) => at(made, 0).reset(1),
}
const deadPort: Story = {
  lose: (made) => at(made, 0).reset(),
}
const deadPortToldByEvent: Story = { ...deadPort, options: { crossResetTold: 'event' } }
const nothingButTime: Story = { ...deadPort, options: NO_RESETS, host: SOON }
const traffic: Story = { ...deadPort, options: { ...NO_RESETS, trafficKeepAlive: true }, host: SOON }
const raised: Story = {
  ...deadPort,
  options: { ...NO_RESETS, minKeepAlive: 600 },
  host: { keepAliveTimeout: 200 },
}
const states: Story = { ...deadPort, options: { ...NO_RESETS, quiesceTime: 300 }, host: SOON }

// Longer than the host needs to miss it, so that it is there to be reset.
const blackHole: Story = {
  options: { minKeepAlive: 5000 },
  host: SOON,
  lose: ({ array }) => array.ports[0]!.blackhole(true),
  after: ({ array }) => array.ports[0]!.blackhole(false),
}

/** The array does not end the controller, though it is asked to. */
const awake: Story = {
  ...lostQueue,
  lose(made, paths) {
    made.array.faults.command({ admin: true, opcode: 0x7f, hangs: true })
    return lostQueue.lose(made, paths)
  },
}

const BY_RESET = { by: 'cross-controller reset', assumed: false }

describe('a write that the array executes late changes nothing', () => {
  test.each<[string, Story, object]>([
    [
      'only the I/O queue is lost: the controller is disabled',
      lostQueue,
      { by: 'controller disabled', assumed: false },
    ],
    ['both queues are lost: a sibling resets the controller', deadPort, BY_RESET],
    ['the end of the reset is told by an event and the log', deadPortToldByEvent, BY_RESET],
    ['no sibling can reset it: it misses its host in time', nothingButTime, { by: 'time', assumed: true }],
    ['the same, with traffic-based keep-alive', traffic, { by: 'time', assumed: true }],
    ['the same, where the target has raised KATO', raised, { by: 'time', assumed: true }],
    ['the same, where it states how long it needs to come to rest', states, { by: 'time', assumed: false }],
  ])('%s', async (_name, story, proof) => {
    const { stands, proof: had, array } = await lateWrite(story)
    expect(stands).toBe(NEW)
    expect(had).toMatchObject(proof)
    expect(array.violations).toEqual([])
  })
})

describe('the test above can fail', () => {
  test.each<[string, Story, keyof NonNullable<NvmeArrayOptions['fences']>]>([
    ['a controller that is disabled goes on', lostQueue, 'disable'],
    ['one that is reset goes on', deadPort, 'crossReset'],
    ['one that has missed its host goes on', nothingButTime, 'keepAlive'],
  ])('%s', async (_name, story, fence) => {
    const { stands } = await lateWrite({ ...story, options: { ...story.options, fences: { [fence]: false } } })
    expect(stands).toBe(OLD)
  })

  test.each<[string, Story]>([
    ['the I/O queue is lost', awake],
    ['both queues are lost, and no sibling can reset it', nothingButTime],
    ['a black hole', blackHole],
  ])('core takes the path for fenced: %s', async (_name, story) => {
    expect((await lateWrite(story, false)).stands).toBe(OLD)
  })
})

test('a black hole: the path is missed, its controller is reset through the other, and what comes out of the hole is late', async () => {
  const { stands, proof } = await lateWrite(blackHole)
  expect(stands).toBe(NEW)
  expect(proof).toMatchObject(BY_RESET)
})

test('a black hole, and nothing but time', async () => {
  const { stands, proof, array } = await lateWrite({ ...blackHole, options: NO_RESETS })
  expect(stands).toBe(NEW)
  expect(proof).toMatchObject({ by: 'time' })
  expect(array.counters.expirations).toBeGreaterThan(0)
})

test('the admin queue is lost, and I/O goes on until then: the controller is reset', async () => {
  const { stands, proof } = await lateWrite({ lose: (made) => at(made, 0).reset(0) })
  expect(stands).toBe(NEW)
  expect(proof).toMatchObject(BY_RESET)
})

test('the sibling dies in the middle of the reset: another one does it', async () => {
  const made = await wire({ ports: [{}, {}, {}], crossResetTold: 'event' })
  const paths = await openDevice(made, made.host())
  const { hold, old } = await holdWrite(made, paths)
  // The first sibling that is asked begins, and is gone before it can tell.
  const mute = made.array.faults.command({ port: 1, admin: true, opcode: 0x02, hangs: true })
  const deaf = made.array.faults.wire({ port: 1, pdu: 'response', admin: true, drop: true })
  at(made, 0).reset()
  await expect.poll(() => mute.hits + deaf.hits, patient).toBeGreaterThan(0)
  at(made, 1).reset()
  expect(await old).toBe(OK)
  expect(await run(paths.device, IoOp.Write, NEW)).toBe(OK)
  hold.release()
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect(made.stored()).toBe(NEW)
  expect(paths.proof()).toMatchObject(BY_RESET)
})

test('CIRN has changed meanwhile: no proof comes of a reset, and time is waited for', async () => {
  const { stands, proof, array } = await lateWrite({
    host: SOON,
    lose(made) {
      const lost = at(made, 0)
      lost.renew()
      lost.reset()
    },
  })
  expect(stands).toBe(NEW)
  expect(proof).toMatchObject({ by: 'time' })
  expect(array.counters.crossResets).toBe(0)
})

test.each([
  [true, 'answered'],
  [false, 'controller disabled'],
])('a path is taken out by hand while the array holds its write; it aborts: %s', async (aborts, by) => {
  const made = await wire()
  const paths = await openDevice(made, made.host({ commandTimeout: 10_000 }))
  const { hold, old } = await holdWrite(made, paths)
  const deaf = aborts ? undefined : made.array.faults.command({ admin: true, opcode: 0x08, hangs: true })
  const out = paths.device.failPath(paths.device.paths[0]!.id)
  // Reads do not wait for it.
  expect(await run(paths.device, IoOp.Read)).toBe(OK)
  expect(paths.proof() === undefined || aborts).toBe(true)
  expect(await old).toBe(OK)
  await out
  expect(await run(paths.device, IoOp.Write, NEW)).toBe(OK)
  hold.release()
  await new Promise((resolve) => setTimeout(resolve, 50))
  expect(made.stored()).toBe(NEW)
  expect(deaf?.hits ?? made.array.counters.aborts).toBeGreaterThan(0)
  expect(paths.proof()).toMatchObject({ by, assumed: false })
})

test('a controller that is called Linux has ended when it is forgotten', async () => {
  const { stands, proof } = await lateWrite({ ...lostQueue, options: { ...NO_RESETS, model: 'Linux' } })
  expect(stands).toBe(NEW)
  expect(proof).toMatchObject({ by: 'controller gone', assumed: false })
})

test('what could be had in the worst case is told', async () => {
  const made = await wire({ quiesceTime: 100 })
  const { opened } = await openDevice(made, made.host())
  expect(opened.map(({ fenceBy }) => fenceBy)).toEqual([BY_RESET, BY_RESET])
  at(made, 1).reset()
  await expect.poll(() => opened[0]!.fenceBy, patient).toEqual({ by: 'time', assumed: false })
})
