import type { BlockDevice, IoStatus } from '@blockbraid/core'
import { Io, IoOp } from '@blockbraid/core'

/** One Io on a device without checks before it; resolves to its status. `fill` is what a write writes. */
export function submit(device: BlockDevice, op: IoOp, offset: number, length: number, fill = 0): Promise<IoStatus> {
  return new Promise((resolve) => {
    const io = new Io()
    io.op = op
    io.offset = offset
    io.length = length
    io.buffers = op === IoOp.Read || op === IoOp.Write ? [Buffer.alloc(length, fill)] : []
    io.done = (_io, status) => resolve(status)
    device.submit(io)
  })
}
