import { describeStatus, Errno, type Io, IoFlag, IoOp, OK, opName } from '@blockbraid/core'
import { changeIn, wordsOf } from './stamped-blocks.ts'
import type { Send, World } from './world.ts'

// A volume that is made read-only, and ops that it forgets, are refused.
const REFUSALS: readonly number[] = [Errno.EPERM, Errno.EROFS, Errno.EOPNOTSUPP]

/** What is wrong with the end of a request; undefined where nothing is. */
export function judge(world: World, send: Send, io: Io, status: number): string | undefined {
  const { request } = send
  const { client, event } = request
  const now = ++world.moment
  if (status !== OK) return judgeFailure(world, send, status, now)
  const { registers, losses } = world.volumes[client.volume]!
  if (event.op === IoOp.Flush) {
    // What others were not told of is theirs to find out. Of several clients that went and came core cannot tell
    // which is which: the news may reach another one.
    const certain = !(world.left.size > 1 && world.left.has(client.number))
    const told = (owner: number): number => (certain && owner === client.number ? client.told : losses)
    for (const register of registers) register.flushed(send.from, told)
    return undefined
  }
  if (event.op === IoOp.Read) return judgeRead(world, send, io, now)
  // What was under way when a flag changed may have been executed before or after.
  const steady = send.switched === world.switched
  const durable = (steady && !send.cached) || (io.flags & IoFlag.Fua) !== 0
  if (request.data !== undefined) world.stamps[request.data.words[0]!]!.logged = world.array.log.length
  for (const [index, change] of request.changes.entries()) {
    const fault = registers[request.first + index]!.acknowledge(change, now, durable)
    if (fault !== undefined) return `block ${request.first + index} of volume ${client.volume} reads as ${fault}`
  }
  return undefined
}

function judgeFailure(world: World, send: Send, status: number, now: number): string | undefined {
  const { request, at } = send
  const { client, event, first } = request
  const { registers, losses } = world.volumes[client.volume]!
  for (const [index, change] of request.changes.entries()) {
    registers[first + index]!.failed(change, now)
    client.spoiled.add(first + index)
  }
  // Whoever sees such an error cannot rely on what it has not flushed.
  if (event.op === IoOp.Flush || event.fua) client.told = losses
  const refused = world.has('flags') && REFUSALS.includes(status)
  if (refused || (event.op === IoOp.Trim && status === Errno.EOPNOTSUPP)) return undefined
  const age = (world.host.clock.now() - at) / 1000
  const what = `a ${opName(event.op)}, sent at ${at} µs, ended with ${describeStatus(status)} after ${age} ms`
  if (status !== Errno.EIO) return what
  const { maxParked, maxParkedBytes } = world.shape.multipath
  const bounded = maxParked !== undefined || maxParkedBytes !== undefined
  if (world.sound && !bounded) return `${what}, with nothing wrong any more`
  const mayBeEarly = event.failFast || bounded || world.has('errors') || world.has('cacheLoss')
  const least = world.shape.multipath.noPathTimeout
  // Times are sums of fractions.
  if (!mayBeEarly && age < least - 0.001) return `${what}, though it might have waited for ${least}`
  return undefined
}

function judgeRead(world: World, send: Send, io: Io, now: number): string | undefined {
  const { request, from, buffer } = send
  const { client, first } = request
  const { registers, losses } = world.volumes[client.volume]!
  const words = buffer?.words ?? joined(io.buffers, io.length)
  if (words === undefined) return `a read of ${io.length} bytes has left views that do not add up to that`
  const perBlock = world.shape.blockSize / 4
  for (let index = 0; index < request.event.count; index++) {
    const block = first + index
    const value = changeIn(words, index * perBlock, perBlock, client.volume, block)
    const fault = registers[block]!.read(value, from, now, send.losses === losses)
    if (fault !== undefined) return `block ${block} of volume ${client.volume} reads as ${fault}`
  }
  return undefined
}

function joined(views: readonly Uint8Array[], length: number): Int32Array | undefined {
  const bytes = new Uint8Array(length)
  let at = 0
  for (const view of views) {
    if (at + view.length > length) return undefined
    bytes.set(view, at)
    at += view.length
  }
  return at === length ? wordsOf(bytes) : undefined
}
