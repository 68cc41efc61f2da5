import type { BlockDevice, SignalOptions } from '@blockbraid/core'
import { abortable, Io, IoOp } from '@blockbraid/core'

/** Bytes at each end of a device; every partition table begins there. */
const LENGTH = 64 * 1024

/** What a device has at its ends. */
export interface Ends {
  /** Fills `target` with what is at `offset`; whether all of it is known. */
  fill(target: Uint8Array, offset: number): boolean
  /** The device changes: from here on nothing is known. */
  forget(): void
}

/**
 * Reads the ends of a device, so that the kernel finds no partition table, or finds it, without waiting for the
 * array: kernels before 7.0 do that inside of a command, and a process that is killed then can never end.
 * What cannot be read is not known.
 */
export async function readEnds(device: BlockDevice, { signal }: SignalOptions): Promise<Ends> {
  const { size, blockSize, maxTransfer } = device.limits
  const length = Math.max(blockSize, Math.min(LENGTH, size, maxTransfer - (maxTransfer % blockSize)))
  const pieces = await abortable(
    Promise.all([...new Set([0, size - length])].map((offset) => readPiece(device, offset, length))),
    signal,
  )
  return {
    fill(target, offset) {
      const piece = pieces.find((one) => one.at <= offset && offset + target.length <= one.at + one.data.length)
      if (piece === undefined) return false
      target.set(piece.data.subarray(offset - piece.at, offset - piece.at + target.length))
      return true
    },
    forget() {
      pieces.length = 0
    },
  }
}

interface Piece {
  readonly at: number
  readonly data: Uint8Array
}

function readPiece(device: BlockDevice, at: number, length: number): Promise<Piece> {
  return new Promise((resolve) => {
    const data = new Uint8Array(length)
    const io = new Io()
    io.op = IoOp.Read
    io.offset = at
    io.length = length
    io.buffers = [data]
    io.done = (_io, status) => resolve({ at, data: status === 0 ? data : new Uint8Array(0) })
    device.submit(io)
  })
}
