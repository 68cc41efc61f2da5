import { Errno, IoFlag, IoOp, PATH_ERROR } from '@blockbraid/core'
import { pattern } from '../data/pattern.ts'
import { failing } from '../doubles/failing.ts'
import { recording } from '../doubles/recording.ts'
import type { SuiteCase } from '../harness/runner.ts'
import { awaiting, check, sameBytes } from '../harness/scope.ts'
import { createRandom, randomInt } from '../time/random.ts'
import type { TransportCapabilities, TransportScope } from './transport-scope.ts'
import { failsWith } from './transport-scope.ts'

type TransportCase = SuiteCase<TransportCapabilities, TransportScope>

/** Cases about what passes through a transport. */
export const transportDataCases: readonly TransportCase[] = [
  {
    title: 'data: an attachment has a node, and its client sees the size of the device',
    async run(t) {
      const { device } = t.device()
      const attachment = await t.attach(await t.open(), device, 'disk')
      check(attachment.node !== '', 'the node has no name')
      const { size } = await t.connect(attachment)
      check(size === device.limits.size, `the client sees ${size} bytes of ${device.limits.size}`)
    },
  },
  {
    title: 'data: what a client writes is on the device, at its place',
    async run(t) {
      const { device, storage } = t.device()
      const client = await t.connect(await t.attach(await t.open(), device, 'disk'))
      const { size, blockSize } = device.limits
      const wanted = Buffer.alloc(size)
      const ranges = [
        [0, 1],
        [size / blockSize - 1, 1],
        [3, 5],
        [20, 64],
      ] as const
      for (const [block, count] of ranges) {
        const offset = block * blockSize
        const data = pattern(count * blockSize, { seed: 20, offset, generation: count })
        await awaiting(t, `a write at ${offset}`, client.write(offset, data))
        wanted.set(data, offset)
      }
      sameBytes(storage.current, wanted, 'the device')
    },
  },
  {
    title: 'data: what is on the device is what a client reads',
    async run(t) {
      const { device, storage } = t.device()
      const { size, blockSize } = device.limits
      storage.current.set(pattern(size, { seed: 21, offset: 0, generation: 1 }))
      const client = await t.connect(await t.attach(await t.open(), device, 'disk'))
      for (const [block, count] of [
        [0, 1],
        [size / blockSize - 1, 1],
        [7, 9],
        [16, 64],
      ] as const) {
        const [offset, length] = [block * blockSize, count * blockSize]
        const found = await awaiting(t, `a read at ${offset}`, client.read(offset, length))
        sameBytes(found, storage.current.subarray(offset, offset + length), `${length} bytes at ${offset}`)
      }
    },
  },
  {
    title: 'rule 7: many requests at once each get their own answer',
    async run(t) {
      const { device, storage } = t.device()
      const { size, blockSize } = device.limits
      storage.current.set(pattern(size, { seed: 22, offset: 0, generation: 1 }))
      const client = await t.connect(await t.attach(await t.open(), device, 'disk'))
      const random = createRandom(22)
      const half = size / 2
      const wanted = Buffer.from(storage.current)
      const requests = Array.from({ length: 200 }, async (_, index) => {
        const place = (index % 64) * blockSize
        if (index < 64) {
          const data = pattern(blockSize, { seed: 22, offset: place, generation: 2 })
          wanted.set(data, place)
          return client.write(place, data)
        }
        const offset = half + randomInt(random, half / blockSize) * blockSize
        const length = Math.min(size - offset, (1 + randomInt(random, 16)) * blockSize)
        sameBytes(await client.read(offset, length), wanted.subarray(offset, offset + length), `read at ${offset}`)
      })
      await awaiting(t, '200 requests at once', Promise.all(requests))
      sameBytes(storage.current, wanted, 'the device')
    },
  },
  {
    title: 'rule 1: Ios reach the device with ranges and views that fit together',
    async run(t) {
      const { device } = t.device()
      let fault = ''
      const watched = failing(device, {
        status: Errno.EIO,
        when(io) {
          const bytes = io.buffers.reduce((sum, view) => sum + view.length, 0)
          const whole = io.op === IoOp.Write || (io.op === IoOp.Read && io.buffers.length > 0)
          if (whole && bytes !== io.length) fault = `op ${io.op} of ${io.length} bytes with views of ${bytes}`
          if (io.op === IoOp.Flush && io.length !== 0) fault = `Flush of ${io.length} bytes`
          return false
        },
      })
      const client = await t.connect(await t.attach(await t.open(), watched, 'disk'))
      const { blockSize } = device.limits
      await awaiting(t, 'a write', client.write(blockSize, Buffer.alloc(3 * blockSize, 1)))
      await awaiting(t, 'a read', client.read(0, 5 * blockSize))
      if (t.options.has.flush) await awaiting(t, 'a flush', client.flush!())
      check(fault === '', fault)
    },
  },
  {
    title: 'rule 5: flush reaches the device, after the writes that were done before it',
    when: (has) => has.flush,
    async run(t) {
      const { device, storage } = t.device()
      const recorder = recording(device)
      const client = await t.connect(await t.attach(await t.open(), recorder, 'disk'))
      await awaiting(t, 'a write', client.write(0, Buffer.alloc(device.limits.blockSize, 7)))
      recorder.log.length = 0
      await awaiting(t, 'a flush', client.flush!())
      const lines = recorder.log.map(({ event, op }) => `${event} ${op}`).join(', ')
      check(lines === `submit ${IoOp.Flush}, done ${IoOp.Flush}`, `the device saw: ${lines}`)
      sameBytes(storage.durable, storage.current, 'what is durable')
    },
  },
  {
    title: 'rule 5: a write with FUA reaches the device as such',
    when: (has) => has.fua,
    async run(t) {
      const { device, storage } = t.device()
      const client = await t.connect(await t.attach(await t.open(), device, 'disk'))
      const data = pattern(device.limits.blockSize, { seed: 23, offset: 0, generation: 1 })
      await awaiting(t, 'a write with FUA', client.write(0, data, { fua: true }))
      sameBytes(storage.durable.subarray(0, data.length), data, 'what is durable')
    },
  },
  {
    title: 'rule 5: a plain write does not become one with FUA',
    when: (has) => has.fua,
    async run(t) {
      const { device } = t.device()
      const recorder = recording(device)
      const client = await t.connect(await t.attach(await t.open(), recorder, 'disk'))
      await awaiting(t, 'a write', client.write(0, Buffer.alloc(device.limits.blockSize, 7)))
      const write = recorder.log.find(({ op }) => op === IoOp.Write)
      check(write !== undefined && (write.flags & IoFlag.Fua) === 0, 'the device saw a write with FUA')
    },
  },
  {
    title: 'rule 6: trim and write-zeroes reach the device as such, with their range',
    when: (has) => has.trim || has.writeZeroes,
    async run(t) {
      const { device } = t.device()
      const recorder = recording(device)
      const client = await t.connect(await t.attach(await t.open(), recorder, 'disk'))
      const { blockSize } = device.limits
      const { trim, writeZeroes } = t.options.has
      const [offset, length] = [3 * blockSize, 9 * blockSize]
      if (trim) await awaiting(t, 'a trim', client.trim!(offset, length))
      if (writeZeroes) await awaiting(t, 'a write-zeroes', client.writeZeroes!(offset, length))
      for (const op of [...(trim ? [IoOp.Trim] : []), ...(writeZeroes ? [IoOp.WriteZeroes] : [])]) {
        const seen = recorder.log.find((line) => line.op === op)
        const right = seen?.offset === offset && seen.length === length
        check(right, `op ${op} at ${offset}, ${length} bytes, came as ${JSON.stringify(seen)}`)
      }
    },
  },
  {
    title: 'errors: each comes back as its errno, and the next request succeeds',
    async run(t) {
      const { device } = t.device()
      let broken = true
      const { EIO, ENOSPC, EPERM, EINVAL, ENODATA } = Errno
      const transport = await t.open()
      const { blockSize } = device.limits
      const cases = [
        [EIO, [EIO]],
        [EIO | PATH_ERROR, [EIO]],
        [ENOSPC, [ENOSPC]],
        [EPERM, [EPERM]],
        [EINVAL, [EINVAL]],
        [ENODATA, [ENODATA, EIO]],
      ] as const
      for (const [index, [status, errnos]] of cases.entries()) {
        broken = true
        const front = failing(device, { status, when: () => broken })
        const client = await t.connect(await t.attach(transport, front, `disk${index}`))
        await failsWith(t, `a read that ends with ${status}`, () => client.read(0, blockSize), errnos)
        await failsWith(t, `a write that ends with ${status}`, () => client.write(0, Buffer.alloc(blockSize)), errnos)
        broken = false
        await awaiting(t, 'a read after errors', client.read(0, blockSize))
      }
    },
  },
]
