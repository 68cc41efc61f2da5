import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { createRandom } from '@blockbraid/testkit'
import { expect, test } from 'vitest'
import type { Session } from '../../src/session/session.ts'
import { Direction, type Task } from '../../src/session/task.ts'
import { type Fields, fakeSession, pdu } from './support.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

const OPCODES = [0x20, 0x21, 0x22, 0x24, 0x25, 0x26, 0x31, 0x32, 0x3f]
const PDUS = 1_000_000
const LENGTH = 1024

interface Running {
  readonly tag: number
  readonly direction: Direction
  asked: boolean
}

function start(session: Session, direction: Direction, lends: boolean, running: Running[]): void {
  const task = session.take() as Task
  task.owner = session
  task.direction = direction
  task.length = direction === Direction.None ? 0 : LENGTH
  const views = lends && direction === Direction.Read
  task.buffers = views ? [] : [Buffer.alloc(LENGTH)]
  task.lends = views
  task.changes = direction === Direction.Write
  task.done = () => {
    const at = running.indexOf(call)
    if (at < 0) throw new Error('a task ended twice')
    running.splice(at, 1)
  }
  session.send(task)
  const call = { tag: task.tag, direction, asked: false }
  running.push(call)
}

/** What a target could say of a task. */
function fitting(running: Running, payload: Buffer, pick: (count: number) => number): Fields {
  const { tag, direction } = running
  if (direction === Direction.Read && pick(4) > 0) {
    return { opcode: 0x25, flags: 0x81, tag, data: payload.subarray(0, LENGTH) }
  }
  if (direction === Direction.Write && !running.asked && pick(4) > 0) {
    running.asked = true
    return { opcode: 0x31, tag, transferTag: 1, word44: LENGTH }
  }
  return { opcode: 0x21, tag, status: pick(2) * 2, data: payload.subarray(0, pick(2) * 20) }
}

/** What none should. */
function wild({ tag }: Running, payload: Buffer, pick: (count: number) => number): Fields {
  return {
    opcode: OPCODES[pick(OPCODES.length)] as number,
    flags: pick(256),
    response: pick(3) === 0 ? pick(256) : 0,
    status: pick(256),
    tag: pick(2) === 0 ? tag : pick(2 ** 32),
    transferTag: pick(2) === 0 ? 0xffff_ffff : pick(2 ** 32),
    statSn: pick(2 ** 32),
    expCmdSn: pick(2 ** 32),
    maxCmdSn: pick(2 ** 32),
    word36: pick(2) === 0 ? pick(6) << 24 : pick(2 ** 32),
    word40: pick(2) === 0 ? pick(2 * LENGTH) : pick(2 ** 32),
    word44: pick(2) === 0 ? pick(2 * LENGTH) : pick(2 ** 32),
    data: payload.subarray(0, pick(2) * pick(payload.length)),
  }
}

test('a million PDUs, right and wrong ones: no exception, every task ends once, memory does not grow', {
  timeout: 180_000,
}, async () => {
  const seed = Math.floor(Math.random() * 2 ** 32)
  const random = createRandom(seed)
  const pick = (count: number): number => Math.floor(random() * count)
  const payload = Buffer.alloc(2 * LENGTH, 3)
  let sessions = 0
  let lost = 0
  let memory = 0
  const used = async (): Promise<number> => {
    await new Promise((resolve) => setImmediate(resolve))
    collect()
    const { heapUsed, arrayBuffers } = process.memoryUsage()
    return heapUsed + arrayBuffers
  }
  for (let sent = 0; sent < PDUS; sessions++) {
    const { wire, session } = fakeSession({ maxCmdSn: 0x7fff_0000, immediateData: false, initialR2T: true })
    const running: Running[] = []
    try {
      for (let round = 0; round < 2000 && session.error === undefined; round++) {
        while (running.length < 6 && session.error === undefined) {
          start(session, pick(3) as Direction, pick(4) === 0, running)
        }
        const subject = running[pick(running.length)] as Running
        const bytes = pdu(random() < 0.995 ? fitting(subject, payload, pick) : wild(subject, payload, pick))
        if (random() < 0.005) bytes[pick(bytes.length)] = pick(256)
        const cut = random() < 0.1 ? pick(bytes.length) : bytes.length
        wire.sink?.bytes(bytes, 0, cut)
        wire.sink?.bytes(bytes, cut, bytes.length)
        sent++
        if (round % 64 === 0) wire.take()
      }
    } catch (error) {
      throw new Error(`seed ${seed}: ${error instanceof Error ? error.stack : error}`)
    }
    if (session.error !== undefined) lost++
    else session.drop(new Error('over') as never)
    expect(running.length, `seed ${seed}: tasks without an end`).toBe(0)
    if (sessions === 500) memory = await used()
    else if (sessions % 100 === 0) await used()
  }
  expect(lost).toBeGreaterThan(1000)
  expect((await used()) - memory, `seed ${seed}: bytes of growth`).toBeLessThan(64 * 1024 * 1024)
})
