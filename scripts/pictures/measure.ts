import type { Io, MultipathDevice, PathSelector } from '@blockbraid/core'
import { openMultipath } from '@blockbraid/core'
import { createMemoryArray, memory } from '@blockbraid/target-memory'
import type { VirtualHost } from '@blockbraid/testkit'
import { closedLoop, randomInt, virtualHost } from '@blockbraid/testkit'
import type { Scene } from './scenes.ts'
import { DURATION } from './scenes.ts'

/** Milliseconds. */
export const STEP = 50

/** What a policy made of a scene. */
export interface Measured {
  /** I/Os that each path did in each step. */
  readonly steps: readonly (readonly number[])[]
  /** I/Os of each path. */
  readonly totals: readonly number[]
  /** Milliseconds. */
  readonly p50: number
  /** Milliseconds. */
  readonly p99: number
}

// Several devices share the ports, as the volumes of an array do: what waits in a port is more than one of them sees.
const DEVICES = 8
const DEPTH = 4
const LENGTH = 65_536
const SIZE = 2 ** 30

/** Half of its slots read on, each in a region of its own; the others read anywhere. */
function mixedReads(random: () => number): (io: Io, slot: number) => void {
  const steps = Array.from({ length: DEPTH }, () => 0)
  return (io, slot) => {
    const region = slot * (SIZE / DEPTH)
    const block = slot % 2 === 0 ? (steps[slot] as number) : randomInt(random, SIZE / DEPTH / LENGTH)
    steps[slot] = block + 1
    io.offset = region + block * LENGTH
    io.length = LENGTH
  }
}

async function openDevices(host: VirtualHost, scene: Scene, create: () => PathSelector) {
  const volumes = Array.from({ length: DEVICES }, () => ({ size: SIZE }))
  const array = createMemoryArray({ volumes, ports: scene.ports }, host)
  const target = memory({ array }, host)
  const infos = await target.discover()
  const devices = array.volumes.map(({ id }) => {
    const sources = infos.filter(({ volume }) => volume === id).map((info) => ({ target, info }))
    return openMultipath(id, sources, { selector: create, host })
  })
  return { array, devices: await Promise.all(devices) }
}

const ios = (devices: readonly MultipathDevice[]): number[] =>
  devices[0]!.paths.map((_, path) => devices.reduce((sum, device) => sum + device.paths[path]!.ios, 0))

/** Runs a policy through a scene, in virtual time; the same each time. */
export async function measure(scene: Scene, create: () => PathSelector): Promise<Measured> {
  const host = virtualHost(1)
  const { clock } = host
  const { array, devices } = await clock.runUntil(openDevices(host, scene, create))
  await clock.advance(100)
  const begun = clock.now()
  const over = begun + DURATION * 1000
  for (const { at, act } of scene.events) clock.after(at, () => act(array))
  const loads = devices.map((device) =>
    closedLoop(device, { clock, depth: DEPTH, next: mixedReads(host.random), goesOn: () => clock.now() < over }),
  )
  const steps: number[][] = []
  for (let before = ios(devices); clock.now() < over; ) {
    await clock.advance(STEP)
    const now = ios(devices)
    steps.push(now.map((count, path) => count - before[path]!))
    before = now
  }
  const reports = await clock.runUntil(Promise.all(loads))
  await clock.runUntil(Promise.all(devices.map((device) => device.close())))
  const latencies = Float64Array.from(reports.flatMap(({ latencies }) => latencies)).toSorted()
  const percentile = (share: number): number => latencies[Math.floor(latencies.length * share)]! / 1000
  const totals = scene.ports.map((_, path) => steps.reduce((sum, step) => sum + step[path]!, 0))
  return { steps, totals, p50: percentile(0.5), p99: percentile(0.99) }
}
