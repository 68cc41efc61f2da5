import type { BlockChange } from '@blockbraid/testkit'
import { ANYTHING, pattern, randomInt } from '@blockbraid/testkit'
import { describeStatus, Errno, IoFlag, IoOp, OK } from '../../src/index.ts'
import { Connection } from './connection.ts'
import type { Answer, Client, Connected, Request, World } from './world.ts'
import { BLOCK, BLOCKS, blockValue } from './world.ts'

interface Step extends Request {
  /** First block, of the volume. */
  readonly first: number
  readonly count: number
}

// A volume that is made read-only, and ops that it forgets, are refused.
const REFUSALS: readonly number[] = [Errno.EPERM, Errno.EROFS, Errno.EOPNOTSUPP]

/** Works until `over`. Throws where something that was acknowledged, or promised to be durable, does not stand. */
export async function work(world: World, client: Client, over: () => boolean): Promise<void> {
  const { kinds, host } = world
  // Blocks where a change ended with an error: without the kind they are left alone.
  const spoiled = new Set<number>()
  while (!over()) {
    const step = nextStep(world, client)
    const blocks = range(step.first, step.count)
    if (!kinds.has('rewrite') && step.op !== IoOp.Flush && blocks.some((block) => spoiled.has(block))) {
      await new Promise<void>((resolve) => host.clock.after(1, resolve))
      continue
    }
    const status = await perform(world, client, step)
    // What fails at once would else fail for ever, in no time.
    if (status !== OK && kinds.has('bounds')) await new Promise<void>((resolve) => host.clock.after(1, resolve))
    if (status !== OK && step.op !== IoOp.Flush) for (const block of blocks) spoiled.add(block)
  }
}

/** Sends a request until it is answered, over as many connections as that takes. */
export async function perform(world: World, client: Client, step: Step): Promise<number> {
  for (;;) {
    const connection = await connected(world, client)
    const sent = submitted(world, client, step)
    const answer = await Promise.race([connection.request(step), world.fault])
    if (client.connection === connection && answer === 'gone') client.connection = undefined
    if (answer !== 'gone') {
      judge(world, client, step, sent, answer)
      return answer
    }
  }
}

async function connected(world: World, client: Client): Promise<Connected> {
  for (;;) {
    if (client.connection !== undefined) return client.connection
    const { process } = world
    if (process?.device !== undefined) client.connection = new Connection(world, process, client.number)
    else await Promise.race([world.change(), world.fault])
  }
}

function nextStep(world: World, client: Client): Step {
  const step = calmStep(world, client)
  return world.kinds.has('bounds') && world.host.random() < 0.1
    ? { ...step, flags: step.flags | IoFlag.FailFast }
    : step
}

function calmStep(world: World, { number }: Client): Step {
  const { random } = world.host
  const from = randomInt(random, BLOCKS)
  const most = Math.min(BLOCKS - from, random() < 0.2 ? BLOCKS : 2)
  const count = 1 + randomInt(random, most)
  const draw = random()
  if (draw < 0.1) return stepOf(IoOp.Flush, 0, 0, 0, [])
  const first = number * BLOCKS + from
  if (draw < 0.4) return stepOf(IoOp.Read, first, count, 0, [Buffer.alloc(count * BLOCK)])
  const flags = random() < 0.3 ? IoFlag.Fua : 0
  if (draw < 0.44) return stepOf(IoOp.Trim, first, count, flags, [])
  if (draw < 0.5) return stepOf(IoOp.WriteZeroes, first, count, flags, [])
  const stamp = { seed: number, offset: first * BLOCK, generation: ++world.generations }
  return stepOf(IoOp.Write, first, count, flags, [pattern(count * BLOCK, stamp)])
}

export function stepOf(op: IoOp, first: number, count: number, flags: number, buffers: Uint8Array[]): Step {
  return { op, flags, offset: first * BLOCK, length: count * BLOCK, buffers, first, count }
}

/** What the model notes before a request is sent. */
interface Sent {
  /** By block of the step, where it changes any. */
  readonly changes: readonly BlockChange[]
  /** By block of the volume, where it is a flush. */
  readonly marks: readonly (BlockChange | undefined)[]
  /** How often the cache was switched on or off by then, and whether there was one. */
  readonly switched: number
  readonly cached: boolean
  /** How many caches were lost by then. */
  readonly losses: number
}

function submitted(world: World, _client: Client, { op, first, count, buffers }: Step): Sent {
  const { histories, array, switched, losses } = world
  let value = 0
  if (op === IoOp.Trim) value = ANYTHING
  if (op === IoOp.Write) value = new DataView(buffers[0]!.buffer, buffers[0]!.byteOffset).getUint32(12, true)
  const changes =
    op === IoOp.Read || op === IoOp.Flush ? [] : range(first, count).map((at) => histories[at]!.submit(value))
  const marks = op === IoOp.Flush ? histories.map(({ mark }) => mark) : []
  return { changes, marks, switched, losses, cached: array.volumes[0]!.writeCache }
}

function judge(world: World, client: Client, step: Step, sent: Sent, answer: Answer): void {
  const { histories } = world
  const { op, flags, first } = step
  const status = answer as number
  if (status !== OK) {
    const expected = status === Errno.EIO || (world.kinds.has('flags') && REFUSALS.includes(status))
    const mayRefuse = op === IoOp.Trim && status === Errno.EOPNOTSUPP
    if (!expected && !mayRefuse)
      throw new Error(`client ${client.number}: a request ended with ${describeStatus(status)}`)
    // Whoever sees such an error cannot rely on what it has not flushed.
    if (op === IoOp.Flush || (flags & IoFlag.Fua) !== 0) client.told = world.losses
    return
  }
  if (op === IoOp.Flush) {
    for (const [block, history] of histories.entries()) {
      // What others were not told of is theirs to find out. Of several clients that went and came core cannot tell
      // which is which: the news may reach another one.
      const own =
        Math.floor(block / BLOCKS) === client.number && !(world.left.size > 1 && world.left.has(client.number))
      history.flushed(sent.marks[block], own ? client.told : world.losses)
    }
    return
  }
  // What was under way when a flag changed may have been executed before or after.
  const steady = sent.switched === world.switched
  const uncached = steady && !sent.cached
  for (const [index, change] of sent.changes.entries()) {
    histories[first + index]!.acknowledge(change, uncached || (steady && (flags & IoFlag.Fua) !== 0))
  }
  if (op !== IoOp.Read) return
  const bytes = step.buffers[0]!
  for (let index = 0; index < step.count; index++) {
    const value = blockValue(bytes.subarray(index * BLOCK, (index + 1) * BLOCK), first + index)
    const history = histories[first + index]!
    if (!history.read(value, sent.losses === world.losses))
      throw new Error(`block ${first + index} reads as ${value}, which is none of: ${history}`)
  }
}

const range = (first: number, count: number): number[] => Array.from({ length: count }, (_, index) => first + index)
