import type { BlockDevice } from '@blockbraid/core'
import { Errno, errnoOf, IoFlag, IoOp, isPathError, OK } from '@blockbraid/core'
import { pattern } from '../data/pattern.ts'
import type { SuiteCase } from '../harness/runner.ts'
import {
  awaiting,
  check,
  closing,
  ending,
  flush,
  mustBeOk,
  read,
  rejectedWith,
  sameBytes,
  submit,
  succeed,
  write,
} from '../harness/scope.ts'
import type { DeviceCapabilities, DeviceScope } from './device-scope.ts'
import { writable } from './device-scope.ts'

type DeviceCase = SuiteCase<DeviceCapabilities, DeviceScope>

const BLOCKS = 64

const old = (device: BlockDevice) => pattern(BLOCKS * device.limits.blockSize, { seed: 10, offset: 0, generation: 1 })

/** Fills the first 64 blocks, so that a change beside a range shows. */
async function prepare(t: DeviceScope): Promise<BlockDevice> {
  const device = await t.open()
  const { blockSize } = device.limits
  const data = old(device)
  for (let at = 0; at < data.length; at += blockSize) await write(t, device, at, data.subarray(at, at + blockSize))
  return device
}

/** The first 64 blocks. */
async function firstBlocks(t: DeviceScope, device: BlockDevice): Promise<Buffer> {
  const { blockSize } = device.limits
  const parts: Buffer[] = []
  for (let at = 0; at < BLOCKS; at++) parts.push(await read(t, device, at * blockSize, blockSize))
  return Buffer.concat(parts)
}

/** Ends the case unless all but `length` bytes at `offset` are as they were. */
async function neighboursKept(t: DeviceScope, device: BlockDevice, offset: number, length: number): Promise<Buffer> {
  const found = await firstBlocks(t, device)
  const wanted = old(device)
  sameBytes(found.subarray(0, offset), wanted.subarray(0, offset), 'blocks before the range')
  sameBytes(found.subarray(offset + length), wanted.subarray(offset + length), 'blocks after the range')
  return found.subarray(offset, offset + length)
}

async function crash(t: DeviceScope, device: BlockDevice): Promise<BlockDevice> {
  check(t.options.crash !== undefined, 'has.crash is true, and there is no crash hook')
  return closing(t, await awaiting(t, 'the crash hook', t.options.crash(device)))
}

/** Cases about durability (rule 5), trim and zeroes (rule 6), and extents. */
export const durabilityCases: readonly DeviceCase[] = [
  {
    title: 'rule 5: Flush succeeds when idle and among Ios in flight',
    when: writable,
    async run(t) {
      const device = await t.open()
      const { blockSize } = device.limits
      await flush(t, device)
      const running = [0, 1, 2, 3].flatMap((index) => [
        submit(t, device, { op: IoOp.Write, offset: index * blockSize, buffers: [Buffer.alloc(blockSize, index)] }),
        submit(t, device, { op: IoOp.Flush }),
      ])
      for (const { io, status } of running) mustBeOk(io, await awaiting(t, 'writes and flushes in flight', status))
    },
  },
  {
    title: 'rule 5: after a Flush every write done before its submit survives a crash',
    when: (has) => has.crash === true && writable(has),
    async run(t) {
      const device = await prepare(t)
      await flush(t, device)
      sameBytes(await firstBlocks(t, await crash(t, device)), old(device), 'what was flushed')
    },
  },
  {
    title: 'rule 5: a write with Fua survives a crash once it is done',
    when: (has) => has.crash === true && has.fua && writable(has),
    async run(t) {
      const device = await t.open()
      const data = pattern(4 * device.limits.blockSize, { seed: 11, offset: 0, generation: 1 })
      await write(t, device, 0, data, IoFlag.Fua)
      const { limits } = device
      sameBytes(await read(t, await crash(t, device), 0, 4 * limits.blockSize), data, 'what was written with Fua')
    },
  },
  {
    title: 'rule 5: WriteZeroes with Fua survives a crash once it is done',
    when: (has) => has.crash === true && has.fua && has.writeZeroes && writable(has),
    async run(t) {
      const device = await prepare(t)
      await flush(t, device)
      const length = 4 * device.limits.blockSize
      await succeed(t, device, { op: IoOp.WriteZeroes, length, flags: IoFlag.Fua })
      sameBytes(await read(t, await crash(t, device), 0, length), Buffer.alloc(length), 'what was zeroed with Fua')
    },
  },
  {
    title: 'rule 5: without a write cache every write that is done survives a crash',
    when: (has) => has.crash === true && !has.writeCache && writable(has),
    async run(t) {
      const device = await prepare(t)
      sameBytes(await firstBlocks(t, await crash(t, device)), old(device), 'what was written')
    },
  },
  {
    title: 'rule 6: WriteZeroes reads back zeroes and leaves its neighbours alone',
    when: (has) => has.writeZeroes && writable(has),
    async run(t) {
      for (const flags of [0, IoFlag.NoUnmap]) {
        const device = await prepare(t)
        const { blockSize } = device.limits
        const [offset, length] = [5 * blockSize, 37 * blockSize]
        await succeed(t, device, { op: IoOp.WriteZeroes, offset, length, flags })
        sameBytes(await neighboursKept(t, device, offset, length), Buffer.alloc(length), 'zeroed range')
      }
    },
  },
  {
    title: 'rule 6: Trim leaves its neighbours alone, and its range readable and writable',
    when: (has) => has.trim && writable(has),
    async run(t) {
      const device = await prepare(t)
      const { blockSize } = device.limits
      const [offset, length] = [7 * blockSize, 33 * blockSize]
      await succeed(t, device, { op: IoOp.Trim, offset, length })
      await neighboursKept(t, device, offset, length)
      const again = pattern(blockSize, { seed: 10, offset, generation: 2 })
      await write(t, device, offset, again)
      sameBytes(await read(t, device, offset, blockSize), again, 'block written after a trim')
    },
  },
  {
    title: 'rule 6: FastZero zeroes, or ends with EOPNOTSUPP and changes nothing',
    when: writable,
    async run(t) {
      const device = await prepare(t)
      const { blockSize } = device.limits
      const [offset, length] = [3 * blockSize, 9 * blockSize]
      const status = await ending(t, device, { op: IoOp.WriteZeroes, offset, length, flags: IoFlag.FastZero })
      const range = await neighboursKept(t, device, offset, length)
      if (status === OK) {
        check(t.options.has.writeZeroes, 'FastZero succeeded where limits.writeZeroes is false')
        return sameBytes(range, Buffer.alloc(length), 'zeroed range')
      }
      check(errnoOf(status) === Errno.EOPNOTSUPP && !isPathError(status), `FastZero ended with status ${status}`)
      sameBytes(range, old(device).subarray(offset, offset + length), 'range after EOPNOTSUPP')
    },
  },
  {
    title: 'rule 6: Trim and WriteZeroes that limits do not offer end with EOPNOTSUPP and change nothing',
    when: (has) => !(has.trim && has.writeZeroes) && writable(has),
    async run(t) {
      const device = await prepare(t)
      const length = 4 * device.limits.blockSize
      const { trim, writeZeroes } = t.options.has
      for (const op of [...(trim ? [] : [IoOp.Trim]), ...(writeZeroes ? [] : [IoOp.WriteZeroes])]) {
        const status = await ending(t, device, { op, length })
        check(errnoOf(status) === Errno.EOPNOTSUPP && !isPathError(status), `op ${op} ended with status ${status}`)
      }
      sameBytes(await firstBlocks(t, device), old(device), 'the device')
    },
  },
  {
    title: 'extents: they cover the range in order, and what they call zero reads as zeroes',
    when: (has) => has.extents,
    async run(t) {
      const device = writable(t.options.has) ? await prepare(t) : await t.open()
      const { blockSize } = device.limits
      const { has } = t.options
      const wanted = writable(has) ? old(device) : await firstBlocks(t, device)
      if (has.writeZeroes && writable(has)) {
        const [offset, length] = [16 * blockSize, 32 * blockSize]
        await succeed(t, device, { op: IoOp.WriteZeroes, offset, length })
        wanted.fill(0, offset, offset + length)
      }
      const end = wanted.length
      for (let at = 0; at < end; ) {
        const extents = await awaiting(t, 'extents', device.extents!(at, end - at))
        check(extents.length > 0, `no extent at ${at}`)
        const start = at
        for (const { length, zero } of extents) {
          check(Number.isSafeInteger(length) && length > 0, `an extent of ${length} bytes at ${at}`)
          const part = wanted.subarray(at, at + length)
          if (zero) sameBytes(part, Buffer.alloc(part.length), `extent at ${at}, called zero,`)
          at += length
        }
        check(at <= end, `extents cover ${at - start} bytes where ${end - start} were asked for`)
      }
    },
  },
  {
    title: 'rule 12: extents with a signal that has fired end with ABORTED',
    when: (has) => has.extents,
    async run(t) {
      const device = await t.open()
      const signal = AbortSignal.abort()
      const ask = () => device.extents!(0, device.limits.blockSize, { signal })
      await rejectedWith(t, 'extents with a fired signal', ask, ['ABORTED'])
    },
  },
]
