import { open } from 'node:fs/promises'
import type { MemoryArray } from '@blockbraid/target-memory'

const STEP = 1024 * 1024
const zeroes = Buffer.alloc(STEP)

/** Copies what stands in the array's memory to a sparse file; resolves to its path. */
export async function imageOf(array: MemoryArray, volume = 0): Promise<string> {
  const path = `/run/image-${array.name}-${volume}`
  const file = await open(path, 'w')
  const { size, id } = array.volumes[volume]!
  try {
    await file.truncate(size)
    for (let offset = 0; offset < size; offset += STEP) {
      const length = Math.min(STEP, size - offset)
      const data = array.peek(id, offset, length)
      if (!zeroes.subarray(0, length).equals(data)) await file.write(data, 0, length, offset)
    }
  } finally {
    await file.close()
  }
  return path
}
