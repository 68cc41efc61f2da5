import type { BlockDevice, Io } from '@blockbraid/core'
import { IoOp } from '@blockbraid/core'
import { nullDevice } from './null-device.ts'

const DEPTH = 4096

/** A volume whose reads give the same bytes and whose writes go nowhere; what was submitted in a turn ends with it. */
export function filledDevice(): BlockDevice {
  const bytes = Buffer.alloc(1 << 20, 0x5a)
  const inner = nullDevice(DEPTH)
  let due = false
  const complete = (): void => {
    due = false
    inner.complete()
  }
  return {
    limits: { ...inner.limits, blockSize: 512 },
    submit(io: Io) {
      if (io.op === IoOp.Read) io.buffers = [io.length === bytes.length ? bytes : bytes.subarray(0, io.length)]
      inner.submit(io)
      // All of a turn at once.
      if (due) return
      due = true
      queueMicrotask(complete)
    },
    close: async () => {},
  }
}
