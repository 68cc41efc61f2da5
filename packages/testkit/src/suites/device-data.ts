import { IoFlag, IoOp, NO_BUFFERS } from '@blockbraid/core'
import { pattern, readStamp } from '../data/pattern.ts'
import type { SuiteCase } from '../harness/runner.ts'
import { awaiting, check, mustBeOk, read, sameBytes, submit, succeed, unevenViews, write } from '../harness/scope.ts'
import { createRandom, randomInt } from '../time/random.ts'
import type { DeviceCapabilities, DeviceScope } from './device-scope.ts'
import { writable } from './device-scope.ts'

type DeviceCase = SuiteCase<DeviceCapabilities, DeviceScope>

const GUARD = 0x5a
const VIEWS = 30

/** Cases about buffers (rules 2 and 3) and about Ios in flight together (rule 7). */
export const dataCases: readonly DeviceCase[] = [
  {
    title: 'rule 2: write buffers are not changed',
    when: writable,
    async run(t) {
      const device = await t.open()
      const length = 8 * device.limits.blockSize
      const data = pattern(length, { seed: 2, offset: 0, generation: 1 })
      const views = unevenViews(data, VIEWS)
      const list = [...views]
      const io = await succeed(t, device, { op: IoOp.Write, buffers: views })
      sameBytes(data, pattern(length, { seed: 2, offset: 0, generation: 1 }), 'write buffer after done')
      check(io.buffers === views, 'the array of views was replaced')
      check(list.every((view, index) => views[index] === view) && views.length === VIEWS, 'the views were replaced')
    },
  },
  {
    title: 'rule 2: write buffers are not kept after done',
    when: writable,
    async run(t) {
      const device = await t.open()
      const { blockSize } = device.limits
      const wanted = pattern(4 * blockSize, { seed: 2, offset: 0, generation: 2 })
      const data = Buffer.from(wanted)
      const { io, status } = submit(t, device, { op: IoOp.Write, buffers: unevenViews(data, 3) })
      const outcome = await awaiting(t, 'done of a write', status)
      // The buffer is the caller's again, to be filled with something else.
      data.fill(0xee)
      mustBeOk(io, outcome)
      sameBytes(await read(t, device, 0, wanted.length), wanted, 'what was written')
    },
  },
  {
    title: 'rule 3: a read fills the given views in order',
    when: writable,
    async run(t) {
      const device = await t.open()
      const { blockSize } = device.limits
      const length = 16 * blockSize
      const data = pattern(length, { seed: 3, offset: blockSize, generation: 1 })
      await succeed(t, device, { op: IoOp.Write, offset: blockSize, buffers: unevenViews(data, VIEWS) })
      const target = Buffer.alloc(length, GUARD)
      const views = unevenViews(target, VIEWS)
      const list = [...views]
      const io = await succeed(t, device, { op: IoOp.Read, offset: blockSize, buffers: views })
      sameBytes(target, data, `${VIEWS} views`)
      const kept = io.buffers === views && views.length === VIEWS && list.every((view, index) => views[index] === view)
      check(kept, 'the given views were replaced')
    },
  },
  {
    title: 'rule 3: a read touches no byte outside of its views',
    when: writable,
    async run(t) {
      const device = await t.open()
      const { blockSize } = device.limits
      const data = pattern(2 * blockSize, { seed: 3, offset: 0, generation: 2 })
      await write(t, device, 0, data)
      const room = Buffer.alloc(2 * blockSize + 300, GUARD)
      const first = room.subarray(7, 7 + blockSize)
      const second = room.subarray(7 + blockSize + 100, 7 + 2 * blockSize + 100)
      await succeed(t, device, { op: IoOp.Read, buffers: [first, second] })
      sameBytes(Buffer.concat([first, second]), data, 'two views at odd places')
      const rest = [
        room.subarray(0, 7),
        room.subarray(7 + blockSize, 107 + blockSize),
        room.subarray(107 + 2 * blockSize),
      ]
      check(
        Buffer.concat(rest).every((byte) => byte === GUARD),
        'bytes outside of the views were changed',
      )
    },
  },
  {
    title: 'rule 3: with no views given the device leaves views that add up to length',
    async run(t) {
      const device = await t.open()
      const { blockSize, maxTransfer, size } = device.limits
      const { has } = t.options
      for (const length of [blockSize, 3 * blockSize, Math.min(maxTransfer, size / 2, 1_048_576)]) {
        const offset = size / 2 - ((size / 2) % blockSize)
        const whole = length - (length % blockSize)
        const wanted = pattern(whole, { seed: 3, offset, generation: whole })
        if (writable(has)) await write(t, device, offset, wanted)
        const io = await succeed(t, device, { op: IoOp.Read, offset, length: whole, buffers: NO_BUFFERS })
        check(NO_BUFFERS.length === 0 && io.buffers !== NO_BUFFERS, 'the device left no views of its own')
        const found = Buffer.concat(io.buffers)
        check(found.length === whole, `views add up to ${found.length} bytes instead of ${whole}`)
        if (writable(has)) sameBytes(found, wanted, 'views of the device')
      }
    },
  },
  {
    title: 'rule 7: overlapping Ios in flight all end, and each block is of one of them',
    when: writable,
    async run(t) {
      const device = await t.open()
      const { blockSize } = device.limits
      const span = 8 * blockSize
      const generations = [1, 2, 3, 4, 5, 6]
      const running = generations.flatMap((generation) => [
        submit(t, device, { op: IoOp.Write, buffers: [pattern(span, { seed: 7, offset: 0, generation })] }),
        submit(t, device, { op: IoOp.Read, buffers: [Buffer.alloc(span)] }),
      ])
      for (const { io, status } of running) mustBeOk(io, await awaiting(t, 'overlapping Ios', status))
      const found = await read(t, device, 0, span)
      for (let offset = 0; offset < span; offset += blockSize) {
        const stamp = readStamp(found, offset)
        check(stamp?.seed === 7 && stamp.offset === offset, `the block at ${offset} is of none of the writes`)
        const block = found.subarray(offset, offset + blockSize)
        sameBytes(block, pattern(blockSize, { ...stamp }), `block at ${offset}, of write ${stamp.generation}`)
      }
    },
  },
  {
    title: 'rule 7: Ios in flight on different blocks do not disturb each other',
    when: writable,
    async run(t) {
      const device = await t.open()
      const { blockSize } = device.limits
      const block = (offset: number, generation: number) => pattern(blockSize, { seed: 8, offset, generation })
      const offsets = Array.from({ length: 64 }, (_, index) => index * blockSize)
      const first = offsets.map((offset) => submit(t, device, { op: IoOp.Write, offset, buffers: [block(offset, 1)] }))
      for (const { io, status } of first) mustBeOk(io, await awaiting(t, '64 writes', status))
      const mixed = offsets.map((offset, index) => {
        const buffers = [index % 2 === 0 ? block(offset, 2) : Buffer.alloc(blockSize)]
        return submit(t, device, { op: index % 2 === 0 ? IoOp.Write : IoOp.Read, offset, buffers })
      })
      for (const { io, status } of mixed) mustBeOk(io, await awaiting(t, '32 reads and 32 writes', status))
      for (const { io } of mixed) {
        if (io.op === IoOp.Read) sameBytes(io.buffers[0]!, block(io.offset, 1), `read at ${io.offset}`)
      }
      for (const [index, offset] of offsets.entries()) {
        sameBytes(
          await read(t, device, offset, blockSize),
          block(offset, index % 2 === 0 ? 2 : 1),
          `block at ${offset}`,
        )
      }
    },
  },
  {
    title: 'rules 3 to 7: 400 random Ios agree with a model',
    when: writable,
    async run(t) {
      const device = await t.open()
      const { blockSize, maxTransfer } = device.limits
      const { has } = t.options
      const random = createRandom(20_261_122)
      const blocks = 64
      const model = Buffer.alloc(blocks * blockSize)
      for (let at = 0; at < model.length; at += blockSize)
        await write(t, device, at, model.subarray(at, at + blockSize))
      for (let step = 1; step <= 400; step++) {
        const start = randomInt(random, blocks)
        const count = 1 + randomInt(random, Math.min(blocks - start, maxTransfer / blockSize))
        const [offset, length] = [start * blockSize, count * blockSize]
        const kind = random()
        if (kind < 0.45) {
          const data = pattern(length, { seed: 9, offset, generation: step })
          const flags = has.fua && random() < 0.2 ? IoFlag.Fua : 0
          const buffers = unevenViews(data, 1 + randomInt(random, 6))
          await succeed(t, device, { op: IoOp.Write, offset, buffers, flags })
          model.set(data, offset)
        } else if (kind < 0.55 && has.writeZeroes) {
          const flags = random() < 0.5 ? IoFlag.NoUnmap : 0
          await succeed(t, device, { op: IoOp.WriteZeroes, offset, length, flags })
          model.fill(0, offset, offset + length)
        } else if (kind < 0.6) {
          await succeed(t, device, { op: IoOp.Flush })
        } else {
          sameBytes(await read(t, device, offset, length), model.subarray(offset, offset + length), `step ${step}`)
        }
      }
    },
  },
]
