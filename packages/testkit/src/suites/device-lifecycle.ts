import type { BlockDevice } from '@blockbraid/core'
import { Errno, errnoOf, IoOp } from '@blockbraid/core'
import type { SuiteCase } from '../harness/runner.ts'
import type { Submitted } from '../harness/scope.ts'
import { awaiting, check, describeIo, ending, read, submit } from '../harness/scope.ts'
import type { DeviceCapabilities, DeviceScope } from './device-scope.ts'
import { writable } from './device-scope.ts'

type DeviceCase = SuiteCase<DeviceCapabilities, DeviceScope>

/** Puts reads and writes in flight, more than the device works on at once. */
function load(t: DeviceScope, device: BlockDevice): Submitted[] {
  const { blockSize, queueDepth } = device.limits
  return Array.from({ length: queueDepth + 16 }, (_, index) => {
    const op = index % 2 === 0 && writable(t.options.has) ? IoOp.Write : IoOp.Read
    return submit(t, device, { op, offset: (index % 64) * blockSize, buffers: [Buffer.alloc(blockSize)] })
  })
}

function allDone(running: readonly Submitted[], when: string): void {
  const missing = running.find(({ calls }) => calls === 0)
  check(missing === undefined, `${when}, a ${missing && describeIo(missing.io)} was not done`)
}

/** Cases about the end of a device, and rule 12. */
export const lifecycleCases: readonly DeviceCase[] = [
  {
    title: 'close: every Io in flight is done before it settles',
    async run(t) {
      const device = await t.open()
      const running = load(t, device)
      await awaiting(t, 'close with Ios in flight', device.close())
      allDone(running, 'when close settled')
    },
  },
  {
    title: 'close: calling it again gives the same end',
    async run(t) {
      const device = await t.open()
      const running = load(t, device)
      const [first, second] = [device.close(), device.close()]
      await awaiting(t, 'the second of two calls of close', second)
      allDone(running, 'when the second close settled')
      await awaiting(t, 'the first of two calls of close', first)
      await awaiting(t, 'a third call of close', device.close())
    },
  },
  {
    title: 'close: an Io submitted after it ends with ESHUTDOWN',
    async run(t) {
      const device = await t.open()
      const { blockSize } = device.limits
      await awaiting(t, 'close', device.close())
      const status = await ending(t, device, { op: IoOp.Read, buffers: [Buffer.alloc(blockSize)] })
      check(errnoOf(status) === Errno.ESHUTDOWN, `it ended with status ${status}`)
      const inside = t.submitted.at(-1)!.inside
      check(!inside, 'done was called from inside submit')
    },
  },
  {
    title: 'rule 12: close with a signal that has fired settles, with every Io in flight done',
    async run(t) {
      const device = await t.open()
      const running = load(t, device)
      // It may succeed all the same, when nothing is left to wait for.
      const end = device.close({ signal: AbortSignal.abort() }).catch(() => {})
      await awaiting(t, 'close with a fired signal', end)
      await awaiting(t, 'Ios that were in flight', Promise.all(running.map(({ status }) => status)))
    },
  },
  {
    title: 'rule 12: a signal that fires after its call has settled changes nothing',
    when: (has) => has.extents,
    async run(t) {
      const device = await t.open()
      const { blockSize } = device.limits
      const abort = new AbortController()
      await awaiting(t, 'extents', device.extents!(0, blockSize, { signal: abort.signal }))
      abort.abort()
      await read(t, device, 0, blockSize)
    },
  },
]
