import { IoOp } from '@blockbraid/core'
import type { RegisterChange } from './block-register.ts'
import { POISON } from './clients.ts'
import { changeIn, wordsOf } from './stamped-blocks.ts'
import type { Process, World } from './world.ts'

/** A power loss now must leave what is durable, or something later, in each block. */
export function judgeCrash(world: World): void {
  eachBlock(
    world,
    (volume) => world.array.crashImage(volume),
    (volume, block, value) => {
      const register = world.volumes[volume]!.registers[block]!
      if (register.mayStandAfterCrash(value)) return undefined
      return `after a power loss block ${block} of volume ${volume} holds ${value}, which is none of: ${register}`
    },
  )
}

/** What stands there in the end must be what a read may return. */
export function judgeContents(world: World): void {
  const now = ++world.moment
  eachBlock(
    world,
    (volume) => ({ read: (offset, length) => world.array.peek(volume, offset, length) }),
    (volume, block, value) => {
      const fault = world.volumes[volume]!.registers[block]!.read(value, now, now, true)
      return fault === undefined ? undefined : `in the end block ${block} of volume ${volume} holds ${fault}`
    },
  )
}

type Image = { read(offset: number, length: number): Uint8Array }

function eachBlock(
  world: World,
  imageOf: (volume: number) => Image,
  faultOf: (volume: number, block: number, value: number) => string | undefined,
): void {
  const { blockSize } = world.shape
  for (const [volume, { registers }] of world.volumes.entries()) {
    const words = wordsOf(imageOf(volume).read(0, registers.length * blockSize))
    const perBlock = blockSize / 4
    for (let block = 0; block < registers.length; block++) {
      const value = changeIn(words, block * perBlock, perBlock, volume, block)
      const fault = faultOf(volume, block, value)
      if (fault !== undefined) return world.fail(fault)
    }
  }
}

/** By the log of the array: nothing is executed when a later change of the block was acknowledged already, or it itself. */
export function judgeLateness(world: World): void {
  const { array, shape, stamps } = world
  const { blockSize } = shape
  const byBlock = acknowledged(world)
  for (const [index, entry] of array.log.entries()) {
    const { data, volumeNumber: volume, offset } = entry
    if (entry.op !== IoOp.Flush && volume === shape.volumes)
      return world.fail(`a change at ${offset} went to a volume that nobody has opened`)
    if (data === undefined) continue
    const words = wordsOf(data)
    for (let at = 0; at < data.length; at += blockSize) {
      const block = (offset + at) / blockSize
      const value = changeIn(words, at / 4, blockSize / 4, volume, block)
      if (value === 0) continue
      const what = `entry ${index} of the log of the array: block ${block} of volume ${volume}`
      const own = stamps[value]
      if (value < 0 || own === undefined) return world.fail(`${what} is changed to what nobody has written`)
      if (own.logged <= index)
        return world.fail(`${what}: change ${value} is executed once more after it was acknowledged`)
      const mine = own.changes[block - own.first]!
      const later = byBlock
        .get(volume * 65_536 + block)
        ?.find((other) => other.logged <= index && other.change.from > mine.to)
      if (later !== undefined)
        return world.fail(
          `${what}: change ${value} is executed when ${later.change.value}, which came after it, was acknowledged`,
        )
    }
  }
}

interface Logged {
  readonly change: RegisterChange
  readonly logged: number
}

function acknowledged({ stamps }: World): Map<number, Logged[]> {
  const byBlock = new Map<number, Logged[]>()
  for (const { volume, first, changes, logged } of stamps) {
    if (logged === Number.POSITIVE_INFINITY) continue
    for (const [index, change] of changes.entries()) {
      const key = volume * 65_536 + first + index
      const all = byBlock.get(key)
      if (all === undefined) byBlock.set(key, [{ change, logged }])
      else all.push({ change, logged })
    }
  }
  return byBlock
}

/** What clients have got back must be as they left it. */
export function judgeBuffers({ poisoned, fail }: World): void {
  for (const { words } of poisoned) {
    for (let at = 0; at < words.length; at++) {
      if (words[at] !== POISON) return fail('a buffer was written to after its read had ended')
    }
  }
}

/** What core has counted is what went through its paths. */
export function judgeCounters(world: World, process: Process): void {
  for (const served of process.served) {
    if (served?.device === undefined) continue
    const { pair } = served
    for (const { id, inflight, ios, errors, bytes } of pair.paths) {
      const count = process.counts.get(id) ?? { inflight: 0, ios: 0, errors: 0, bytes: 0 }
      // What core asks for itself may be under way.
      if (inflight !== count.inflight) world.fail(`${id} has ${inflight} Ios in flight, of which ${count.inflight} are`)
      // In front of a path that takes less than its device Ios are done in other ways.
      if (world.has('flags')) continue
      // A path that was away begins anew.
      const whole = !world.has('remaps') && !world.has('twin')
      const equal = ios === count.ios && errors === count.errors && bytes === count.bytes
      const less = ios <= count.ios && errors <= count.errors && bytes <= count.bytes
      if (whole ? equal : less) continue
      world.fail(
        `${id} counts ${ios} Ios, ${errors} errors, ${bytes} bytes; through it went ${count.ios}, ${count.errors}, ${count.bytes}`,
      )
    }
  }
}

/** Of a process that has closed all nothing is left. */
export function judgeLeaks(world: World, { number, host, paths }: Process): void {
  if (host.timers > 0) world.fail(`process ${number} is closed, and ${host.timers} of its timers are left`)
  if (paths.size > 0) world.fail(`process ${number} is closed, and ${paths.size} of its paths are open`)
}

/** Of the array nobody is left who uses it. */
export function judgeArray({ array, begun, ledger, seams, shape, twin, fail }: World): void {
  // What was killed before anything could be sent through it stays.
  const all = begun === shape.hosts
  for (const [number, { commands, paths }] of array.ports.entries()) {
    if (all && paths > 0) fail(`port ${number} has ${paths} paths, with every agent closed`)
    if (all && commands > 0) fail(`port ${number} has ${commands} commands, with every agent closed`)
  }
  const sound = seams.ledger === undefined
  if (sound && ledger.size > 0) fail(`${ledger.size} debts are left, with all proven`)
  if (twin !== undefined && twin.array.volumes[0]!.allocated > 0) fail('the twin was written to')
}
