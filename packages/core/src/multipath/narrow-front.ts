import type { Clock } from '../clock.ts'
import type { BlockDevice } from '../device.ts'
import { userDevice } from '../user-device.ts'

/**
 * A path that can do less than others, in front of which I/O is split and emulated. What comes here to be flushed is:
 * that its limits tell of no cache any more says nothing of what was written before.
 */
export function narrowFront(path: BlockDevice, clock: Clock): BlockDevice {
  let told = path.limits
  let limits = { ...told, writeCache: true }
  return userDevice(
    {
      get limits() {
        if (path.limits !== told) {
          told = path.limits
          limits = { ...told, writeCache: true }
        }
        return limits
      },
      submit: (io) => path.submit(io),
      close: (options) => path.close(options),
    },
    clock,
  )
}
