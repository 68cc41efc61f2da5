import type { BlockDevice, IoOp, IoSource, IoStatus } from '../../src/index.ts'
import { Io, IoOp as Op } from '../../src/index.ts'

/** An Io that was submitted: `status` is undefined until it is done. */
export interface Sent {
  readonly io: Io
  status: IoStatus | undefined
  times: number
  readonly ended: Promise<IoStatus>
}

/** Submits one Io by hand, as a transport does. */
export function send(
  device: BlockDevice,
  op: IoOp = Op.Read,
  offset = 0,
  length = 512,
  flags = 0,
  source: IoSource | null = null,
): Sent {
  const io = new Io()
  let resolve: (status: IoStatus) => void = () => {}
  const sent: Sent = { io, status: undefined, times: 0, ended: new Promise((r) => (resolve = r)) }
  io.op = op
  io.flags = flags
  io.offset = offset
  io.length = length
  io.source = source
  if (op === Op.Write || op === Op.Read) io.buffers = [new Uint8Array(length)]
  io.done = (_io, status) => {
    sent.status = status
    sent.times++
    resolve(status)
  }
  device.submit(io)
  return sent
}
