import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { createRandom } from '@blockbraid/testkit'
import { expect, test } from 'vitest'
import { type Command, Direction, Outcome } from '../../src/queue/command.ts'
import type { Queue } from '../../src/queue/queue.ts'
import { dataIn, icResp, r2t, response, termReq } from '../support/controller-pdus.ts'
import { testQueue } from '../support/queue.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

// `FUZZ_PDUS=1000000 npx vitest run --project unit packages/target-nvmeof/test/queue/fuzz.test.ts` takes half a minute;
// `FUZZ_SEED=…` begins as a run before did.
const PDUS = Number(process.env['FUZZ_PDUS'] ?? 60_000)
const SEED = Number(process.env['FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 32))
const LENGTH = 1024
const RIGHT = 0x33
const WRONG = 0xee

interface Running {
  readonly cid: number
  readonly direction: Direction
  /** Bytes that were given or asked for. */
  moved: number
}

type Pick = (count: number) => number

function start(queue: Queue, pick: Pick, running: Running[]): void {
  const command = queue.take() as Command
  const direction = pick(3) as Direction
  const lends = direction === Direction.Read && pick(4) === 0
  command.owner = queue
  command.sqe.fill(0)
  command.direction = direction
  command.length = direction === Direction.None ? 0 : LENGTH
  command.lends = lends
  if (!lends) command.buffers = [Buffer.alloc(LENGTH)]
  command.changes = direction === Direction.Write
  command.done = ({ outcome, status, received, sent, buffers }) => {
    const at = running.indexOf(call)
    if (at < 0) throw new Error('a command ended twice')
    running.splice(at, 1)
    if (outcome !== Outcome.Answered || status !== 0) return
    // A success is whole, and of what was meant for it.
    if (direction === Direction.Write && sent !== LENGTH) throw new Error(`success of a write with ${sent} bytes sent`)
    if (direction !== Direction.Read) return
    if (received !== LENGTH) throw new Error(`success of a read with ${received} bytes received`)
    if (Buffer.concat(buffers).some((byte) => byte !== RIGHT)) throw new Error('a read has what was not meant for it')
  }
  queue.send(command)
  const call: Running = { cid: command.cid, direction, moved: 0 }
  running.push(call)
}

const payload = Buffer.alloc(2 * LENGTH, RIGHT)
const foreign = Buffer.alloc(2 * LENGTH, WRONG)

/** What a controller could say of a command. */
function fitting(running: Running, pick: Pick): Buffer {
  const { cid, direction } = running
  const left = LENGTH - running.moved
  const count = pick(3) === 0 ? Math.max(1, pick(left + 1)) : left
  if (direction === Direction.Read && left > 0 && pick(8) > 0) {
    const offset = running.moved
    running.moved += count
    const flags = running.moved < LENGTH ? 0 : pick(2) === 0 ? 4 : 12
    return dataIn({ cid, offset, flags }, payload.subarray(0, count))
  }
  if (direction === Direction.Write && left > 0 && pick(8) > 0) {
    const offset = running.moved
    running.moved += count
    return r2t({ cid, tag: pick(0x1_0000), offset, length: count })
  }
  return response({ cid, status: left > 0 && direction !== Direction.None ? 0x281 : pick(2) * 0x4002 })
}

/** What none should. */
function wild({ cid, moved }: Running, pick: Pick): Buffer {
  const other = pick(3) === 0 ? cid : pick(0x1_0000)
  const offset = pick(2) === 0 ? moved : pick(2) === 0 ? pick(2 * LENGTH) : pick(2 ** 32)
  const length = pick(2) === 0 ? LENGTH : pick(2) === 0 ? pick(2 * LENGTH) : pick(2 ** 32)
  switch (pick(8)) {
    case 0:
      return response({ cid: other, status: pick(0x8000), result: pick(2 ** 32), sqHead: pick(0x1_0000) })
    case 1:
      return r2t({ cid: other, tag: pick(0x1_0000), offset, length })
    case 2:
      return termReq(pick(0x1_0000), pick(2 ** 32), foreign.subarray(0, pick(200)))
    case 3:
      return icResp({ maxH2cData: pick(2 ** 32), digests: pick(4) })
    case 4:
      return Buffer.from(Array.from({ length: 1 + pick(100) }, () => pick(256)))
    default:
      return dataIn(
        { cid: other, offset, flags: pick(16), ...(pick(2) === 0 ? { length } : {}) },
        foreign.subarray(0, 1 + pick(LENGTH)),
        {},
        {
          ...(pick(4) === 0 ? { pdo: pick(256) } : {}),
          ...(pick(4) === 0 ? { plen: pick(2 ** 32) } : {}),
          ...(pick(8) === 0 ? { hlen: pick(256) } : {}),
        },
      )
  }
}

test(`${PDUS} PDUs, right and wrong ones: no exception, every command ends once, a success is whole, memory does not grow`, {
  timeout: 600_000,
}, async () => {
  const random = createRandom(SEED)
  const pick: Pick = (count) => Math.floor(random() * count)
  let queues = 0
  let lost = 0
  let memory = 0
  const used = async (): Promise<number> => {
    await new Promise((resolve) => setImmediate(resolve))
    collect()
    const { heapUsed, arrayBuffers } = process.memoryUsage()
    return heapUsed + arrayBuffers
  }
  const warm = Math.min(500, PDUS / 500)
  for (let sent = 0; sent < PDUS; queues++) {
    const { wire, queue, state } = testQueue({ inCapsule: 0, depth: 16 })
    const running: Running[] = []
    try {
      for (let round = 0; round < 2000 && state.broken === undefined; round++) {
        while (running.length < 6) start(queue, pick, running)
        wire.outbox.flush()
        const subject = running[pick(running.length)] as Running
        const isWild = random() < 0.005
        const bytes = isWild ? wild(subject, pick) : fitting(subject, pick)
        // Not of payload, which no digest covers here.
        if (random() < 0.003) bytes[pick(Math.min(bytes.length, 24))] = pick(256)
        const cut = random() < 0.1 ? pick(bytes.length) : bytes.length
        if (cut > 0) wire.receive(bytes.subarray(0, cut))
        if (cut < bytes.length) wire.receive(bytes.subarray(cut))
        // Where a caller goes, its command lives on.
        if (random() < 0.01 && state.broken === undefined) {
          const [gone] = queue.commandsOf(queue).filter(({ cid }) => running.some((one) => one.cid === cid))
          if (gone !== undefined) queue.detach([gone])
        }
        sent++
        if (round % 64 === 0) wire.take()
      }
    } catch (error) {
      throw new Error(`seed ${SEED}: ${error instanceof Error ? error.stack : error}`)
    }
    if (state.broken !== undefined) lost++
    queue.cut(new Error('over') as never)
    queue.endAll()
    expect(running.length, `seed ${SEED}: commands without an end`).toBe(0)
    if (queues === Math.floor(warm)) memory = await used()
    else if (queues % 100 === 0) await used()
  }
  expect(lost).toBeGreaterThan(PDUS / 2000)
  expect((await used()) - memory, `seed ${SEED}: bytes of growth`).toBeLessThan(64 * 1024 * 1024)
})
