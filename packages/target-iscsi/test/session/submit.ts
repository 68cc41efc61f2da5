import type { IoStatus, Path } from '@blockbraid/core'
import { Io, IoOp } from '@blockbraid/core'

/** Reads or writes `data` at the beginning of a path; resolves to the status. */
export function submit(path: Path, op: 'read' | 'write', data: Buffer): Promise<IoStatus> {
  const io = new Io()
  io.op = op === 'read' ? IoOp.Read : IoOp.Write
  io.length = data.length
  io.buffers = [data]
  return new Promise((resolve) => {
    io.done = (_io, status) => resolve(status)
    path.submit(io)
  })
}
