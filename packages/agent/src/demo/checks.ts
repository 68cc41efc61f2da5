import { createHash } from 'node:crypto'
import type { MemoryArray } from '@blockbraid/target-memory'
import type { Export, Reader } from './load.ts'

const STEP = 1024 * 1024

/** SHA-256 of every byte that a reader finds in an export, and how many there were. */
export async function hashExport(
  reader: Reader,
  source: Export,
  folder: string,
  signal: AbortSignal,
): Promise<{ sha256: string; bytes: number }> {
  const hash = createHash('sha256')
  let bytes = 0
  await reader.read(source, folder, signal, (chunk) => {
    hash.update(chunk)
    bytes += chunk.length
  })
  return { sha256: hash.digest('hex'), bytes }
}

/** SHA-256 of every byte in the array's memory of a volume. */
export function hashMemory(array: MemoryArray, volume: number, size: number): string {
  const hash = createHash('sha256')
  for (let offset = 0; offset < size; offset += STEP)
    hash.update(array.peek(volume, offset, Math.min(STEP, size - offset)))
  return hash.digest('hex')
}
