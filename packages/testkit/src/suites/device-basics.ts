import type { IoStatus } from '@blockbraid/core'
import { Errno, errnoOf, Io, IoFlag, IoOp, isPathError, NO_BUFFERS } from '@blockbraid/core'
import { pattern } from '../data/pattern.ts'
import type { SuiteCase } from '../harness/runner.ts'
import { awaiting, check, ending, mustBeOk, read, sameBytes, submit, succeed, write } from '../harness/scope.ts'
import type { DeviceCapabilities, DeviceScope } from './device-scope.ts'
import { writable } from './device-scope.ts'

type DeviceCase = SuiteCase<DeviceCapabilities, DeviceScope>

/** Ios that end with OK on a device with these capabilities. */
function everyOp(has: DeviceCapabilities, blockSize: number) {
  const one = { offset: 0, length: blockSize }
  const data = pattern(blockSize, { seed: 1, offset: 0, generation: 1 })
  const changing = [
    { op: IoOp.Write, offset: 0, buffers: [data] },
    { op: IoOp.Flush },
    ...(has.fua ? [{ op: IoOp.Write, offset: 0, buffers: [data], flags: IoFlag.Fua }] : []),
    ...(has.trim ? [{ op: IoOp.Trim, ...one }] : []),
    ...(has.writeZeroes ? [{ op: IoOp.WriteZeroes, ...one }] : []),
  ]
  return [
    { op: IoOp.Read, offset: 0, buffers: [Buffer.alloc(blockSize)] },
    { op: IoOp.Read, ...one, buffers: NO_BUFFERS },
    ...(writable(has) ? changing : []),
  ]
}

/** Cases about the limits, rule 1 and rule 4. */
export const basicCases: readonly DeviceCase[] = [
  {
    title: 'capabilities: limits say what has says',
    async run(t) {
      const device = await t.open()
      const { has } = t.options
      const { limits } = device
      for (const name of ['trim', 'writeZeroes', 'fua', 'writeCache'] as const) {
        check(limits[name] === has[name], `limits.${name} is ${limits[name]}, has.${name} is ${has[name]}`)
      }
      check(limits.readOnly === (has.readOnly ?? false), `limits.readOnly is ${limits.readOnly}`)
      const extents = typeof device.extents === 'function'
      check(extents === has.extents, `extents is ${extents ? 'there' : 'missing'}, has.extents is ${has.extents}`)
    },
  },
  {
    title: 'capabilities: limits are well formed',
    async run(t) {
      const { limits } = await t.open()
      const { size, blockSize, preferredBlockSize, maxTransfer, queueDepth } = limits
      const powerOfTwo = Number.isInteger(Math.log2(blockSize)) && blockSize >= 512 && blockSize <= 65536
      check(powerOfTwo, `blockSize ${blockSize} is no power of two from 512 to 65536`)
      check(Number.isSafeInteger(size) && size % blockSize === 0, `size ${size} is no multiple of the block`)
      check(size >= 64 * blockSize, `size ${size} is below the 64 blocks that this suite needs`)
      for (const [name, value] of Object.entries({ preferredBlockSize, maxTransfer })) {
        check(value >= blockSize && value % blockSize === 0, `${name} ${value} is no multiple of the block`)
      }
      check(Number.isInteger(queueDepth) && queueDepth >= 1, `queueDepth is ${queueDepth}`)
    },
  },
  {
    title: 'rule 1: done is called once, never from inside submit',
    async run(t) {
      const device = await t.open()
      for (const request of everyOp(t.options.has, device.limits.blockSize)) {
        const { io, inside } = submit(t, device, request)
        check(!inside, 'done was called from inside submit')
        const entry = t.submitted.at(-1)!
        mustBeOk(io, await awaiting(t, 'done', entry.status))
      }
    },
  },
  {
    title: 'rule 1: an Io may be submitted again from its own done',
    async run(t) {
      const device = await t.open()
      const { blockSize } = device.limits
      const buffers = [Buffer.alloc(blockSize)]
      const io = new Io()
      io.op = IoOp.Read
      io.length = blockSize
      io.buffers = buffers
      const owner = {}
      io.owner = owner
      let done = 0
      const finished = new Promise<string>((resolve) => {
        io.done = (same, status) => {
          done++
          if (same !== io) return resolve('done was given another Io')
          if (status !== 0) return resolve(`read ${done} ended with status ${status}`)
          const kept = io.op === IoOp.Read && io.length === blockSize && io.buffers === buffers && io.owner === owner
          if (!kept) return resolve('the Io came back changed')
          if (done >= 200) return resolve('')
          io.offset = (done % 64) * blockSize
          device.submit(io)
        }
      })
      device.submit(io)
      const complaint = await awaiting(t, 'the last of 200 reads with one Io', finished)
      check(complaint === '', complaint)
      const fresh = new Promise<void>((resolve) => {
        io.done = () => resolve()
      })
      device.submit(io)
      await awaiting(t, 'done of a reused Io', fresh)
      check(done === 200, `done was called ${done} times for 200 submits`)
    },
  },
  {
    title: 'rule 1: Ios above queueDepth wait inside the device and are all done',
    async run(t) {
      const device = await t.open()
      const { blockSize, queueDepth } = device.limits
      const buffers = [Buffer.alloc(blockSize)]
      const count = 2 * queueDepth + 1
      const all: Promise<IoStatus>[] = []
      for (let i = 0; i < count; i++) {
        all.push(submit(t, device, { op: IoOp.Read, offset: (i % 64) * blockSize, buffers }).status)
      }
      const statuses = await awaiting(t, `done of ${count} Ios at queueDepth ${queueDepth}`, Promise.all(all))
      const failed = statuses.filter((status) => status !== 0).length
      check(failed === 0, `${failed} of ${count} Ios failed`)
    },
  },
  {
    title: 'rule 4: the first and the last block take reads and writes',
    when: writable,
    async run(t) {
      const device = await t.open()
      const { size, blockSize } = device.limits
      for (const offset of [0, size - blockSize]) {
        const data = pattern(blockSize, { seed: 4, offset, generation: 1 })
        await write(t, device, offset, data)
        sameBytes(await read(t, device, offset, blockSize), data, `block at ${offset}`)
      }
    },
  },
  {
    title: 'rule 4: transfers of every length across inner borders, up to maxTransfer, carry every byte',
    when: writable,
    async run(t) {
      const device = await t.open()
      const { size, blockSize, maxTransfer } = device.limits
      const fits = (bytes: number): number => Math.min(bytes, maxTransfer, size / 2)
      const lengths = [1, 2, 3, 5, 8, 13, 17, 31].map((blocks) => fits(blocks * blockSize))
      const borders = [4096, 16_384, 65_536, 131_072, 262_144, 1_048_576].filter((border) => border < size / 2)
      for (const border of [blockSize, ...borders.filter((border) => border > blockSize)]) {
        for (const length of lengths) {
          const offset = Math.max(0, border - Math.ceil(length / blockSize / 2) * blockSize)
          const data = pattern(length, { seed: 5, offset, generation: length })
          await write(t, device, offset, data)
          sameBytes(await read(t, device, offset, length), data, `${length} bytes at ${offset}`)
        }
      }
      const most = Math.min(size, maxTransfer, 33_554_432)
      const data = pattern(most, { seed: 6, offset: 0, generation: 1 })
      const offset = size - most
      await write(t, device, offset, data)
      sameBytes(await read(t, device, offset, most), data, `largest transfer, ${most} bytes`)
    },
  },
  {
    title: 'read-only: every op that changes data ends with EPERM, reads succeed',
    when: (has) => has.readOnly === true,
    async run(t) {
      const device = await t.open()
      const { blockSize } = device.limits
      await succeed(t, device, { op: IoOp.Read, buffers: [Buffer.alloc(blockSize)] })
      const refused = [
        { op: IoOp.Write, buffers: [Buffer.alloc(blockSize)] },
        { op: IoOp.Trim, length: blockSize },
        { op: IoOp.WriteZeroes, length: blockSize },
      ]
      for (const request of refused) {
        const status = await ending(t, device, request)
        check(errnoOf(status) === Errno.EPERM && !isPathError(status), `op ${request.op} ended with status ${status}`)
      }
    },
  },
]
