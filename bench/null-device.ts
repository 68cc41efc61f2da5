import type { BlockDevice, DeviceLimits, Io, Path, PathEvents } from '@blockbraid/core'
import { createEmitter, OK } from '@blockbraid/core'

const limits: DeviceLimits = {
  size: 2 ** 40,
  blockSize: 4096,
  preferredBlockSize: 4096,
  maxTransfer: 1 << 20,
  queueDepth: 1024,
  writeCache: true,
  fua: true,
  trim: true,
  writeZeroes: true,
  readOnly: false,
}

/** A device that keeps Ios until `complete` ends them all: what is left to measure is the layers above. */
export interface NullDevice extends BlockDevice {
  complete(): void
}

/** Makes a {@link NullDevice} that holds up to `depth` Ios. */
export function nullDevice(depth: number): NullDevice {
  const held = new Array<Io | null>(depth).fill(null)
  let count = 0
  return {
    limits,
    submit(io) {
      held[count++] = io
    },
    complete() {
      const ending = count
      count = 0
      for (let index = 0; index < ending; index++) {
        const io = held[index] as Io
        io.done(io, OK)
      }
    },
    close: async () => {},
  }
}

/** The same as a path of `volume`. */
export function nullPath(id: string, volume: Path['volume'], depth: number): Path & NullDevice {
  return { ...nullDevice(depth), id, volume, access: 'optimized', events: createEmitter<PathEvents>() }
}
