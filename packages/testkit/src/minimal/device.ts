import type { BlockDevice, Host } from '@blockbraid/core'
import { BlockError, Errno, systemHost } from '@blockbraid/core'
import type { MinimalStorage } from './storage.ts'
import { createMinimalStorage, execute, extentsOf } from './storage.ts'

/**
 * A block device in one buffer. It shows that the suite can be passed with little, and stands in for a
 * real one in tests; it is not a reference implementation, and slow.
 */
export function createMinimalDevice(
  storage: MinimalStorage = createMinimalStorage(),
  host: Host = systemHost,
): BlockDevice {
  let inflight = 0
  let idle = (): void => {}
  let end: Promise<void> | undefined
  return {
    get limits() {
      return storage.limits
    },
    submit(io) {
      const closed = end !== undefined
      inflight++
      host.clock.defer(() => {
        inflight--
        io.done(io, closed ? Errno.ESHUTDOWN : execute(storage, io))
        if (inflight === 0) idle()
      })
    },
    close() {
      end ??= new Promise((resolve) => {
        idle = resolve
        if (inflight === 0) resolve()
      })
      return end
    },
    async extents(offset, length, { signal } = {}) {
      if (signal?.aborted) throw new BlockError('ABORTED', 'extents: the signal has fired', { cause: signal.reason })
      return extentsOf(storage, offset, length)
    },
  }
}
