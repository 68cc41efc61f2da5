import { describeStatus, Errno, Io, IoFlag, IoOp, OK } from '@blockbraid/core'
import type { BlockChange } from '@blockbraid/testkit'
import { ANYTHING, pattern, randomInt, readStamp } from '@blockbraid/testkit'
import { gone } from './processes.ts'
import type { Process, World } from './world.ts'
import { BLOCK, BLOCKS, pause } from './world.ts'

interface Step {
  readonly op: Io['op']
  readonly flags: number
  /** First block, of the volume. */
  readonly first: number
  readonly count: number
  readonly buffers: Uint8Array[]
}

const zeroes = new Uint8Array(BLOCK)

/** The value that a block holds, as histories count; -2 where no change has put that there. */
export function blockValue(bytes: Uint8Array, block: number): number {
  const stamp = readStamp(bytes)
  if (stamp !== undefined) return stamp.offset === block * BLOCK ? stamp.generation : -2
  return Buffer.compare(bytes.subarray(0, BLOCK), zeroes) === 0 ? 0 : -2
}

/** Reads and writes blocks of its own until `over`; fails the world where what it was told does not hold. */
export async function work(world: World, client: number, over: () => boolean): Promise<void> {
  while (!over()) {
    await perform(world, draw(world, client))
    if (world.host.random() < 0.2) await pause(world.host, 10 * world.host.random())
  }
}

/** A request until it is answered, by whichever process. */
export async function perform(world: World, step: Step): Promise<number> {
  for (;;) {
    const process = await serving(world)
    const sent = begin(world, step)
    const status = await Promise.race([request(world, process, step), world.fault])
    if (status === 'gone') continue
    world.answers++
    judge(world, step, sent, status)
    return status
  }
}

export function step(op: Io['op'], first: number, count: number, flags = 0, buffers: Uint8Array[] = []): Step {
  return { op, flags, first, count, buffers }
}

async function serving(world: World): Promise<Process> {
  for (;;) {
    const { process } = world
    if (process?.device !== undefined) return process
    await Promise.race([new Promise<void>((resolve) => world.waiting.add(resolve)), world.fault])
  }
}

/** Resolves to the status, or to `gone` where the process has ended before; fails the world where it is told twice. */
function request(world: World, process: Process, { op, flags, first, count, buffers }: Step): Promise<number | 'gone'> {
  return new Promise((resolve) => {
    const io = Object.assign(new Io(), { op, flags, offset: first * BLOCK, length: count * BLOCK, buffers })
    const lost = (): void => resolve('gone')
    const waiting = gone.get(process) ?? new Set()
    gone.set(process, waiting)
    waiting.add(lost)
    let calls = 0
    io.done = (_io, status) => {
      if (++calls > 1) return world.fail(new Error(`done was called ${calls} times`))
      waiting.delete(lost)
      resolve(status)
    }
    process.device!.submit(io)
  })
}

function draw(world: World, client: number): Step {
  const { random } = world.host
  // Where writes may come late, the same blocks are written again and again.
  const from = randomInt(random, world.kind === 'late' ? 2 : BLOCKS)
  const count = 1 + randomInt(random, Math.min(BLOCKS - from, random() < 0.2 ? BLOCKS : 2))
  const chance = random()
  if (chance < 0.1) return step(IoOp.Flush, 0, 0)
  const first = client * BLOCKS + from
  if (chance < 0.4) return step(IoOp.Read, first, count, 0, [Buffer.alloc(count * BLOCK)])
  const flags = random() < 0.3 ? IoFlag.Fua : 0
  if (chance < 0.43) return step(IoOp.Trim, first, count, flags)
  if (chance < 0.48) return step(IoOp.WriteZeroes, first, count, flags)
  const stamp = { seed: client, offset: first * BLOCK, generation: ++world.generations }
  return step(IoOp.Write, first, count, flags, [pattern(count * BLOCK, stamp)])
}

interface Begun {
  readonly changes: readonly BlockChange[]
  readonly marks: readonly (BlockChange | undefined)[]
  readonly losses: number
}

function begin(world: World, { op, first, count, buffers }: Step): Begun {
  const { histories, losses } = world
  let value = 0
  if (op === IoOp.Trim) value = ANYTHING
  if (op === IoOp.Write) value = readStamp(buffers[0]!)!.generation
  const own = histories.slice(first, first + count)
  const changes = op === IoOp.Read || op === IoOp.Flush ? [] : own.map((history) => history.submit(value))
  return { changes, marks: op === IoOp.Flush ? histories.map(({ mark }) => mark) : [], losses }
}

function judge(world: World, { op, flags, first, count, buffers }: Step, sent: Begun, status: number): void {
  const { histories } = world
  if (status !== OK) {
    if (status === Errno.EIO || (op === IoOp.Trim && status === Errno.EOPNOTSUPP)) return
    throw new Error(`a request ended with ${describeStatus(status)}`)
  }
  if (op === IoOp.Flush) {
    for (const [block, history] of histories.entries()) history.flushed(sent.marks[block], world.losses)
    return
  }
  const durable = sent.losses === world.losses && ((flags & IoFlag.Fua) !== 0 || !world.storage.volumes[0]!.writeCache)
  for (const [index, change] of sent.changes.entries()) histories[first + index]!.acknowledge(change, durable)
  if (op !== IoOp.Read) return
  for (let index = 0; index < count; index++) {
    const value = blockValue(buffers[0]!.subarray(index * BLOCK, (index + 1) * BLOCK), first + index)
    const history = histories[first + index]!
    if (history.read(value, sent.losses === world.losses)) continue
    throw new Error(`block ${first + index} reads as ${value}, which is none of: ${history}`)
  }
}
