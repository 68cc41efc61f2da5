import { createReadStream } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { createChecksum } from '@blockbraid/target-memory'
import { fillPattern } from '@blockbraid/testkit'
import { succeed } from './tools.ts'

const PIECE = 64 * 1024

/** Data in pieces of 64 KiB, of which `random` leaves a third zero. */
export function mixedData(length: number, seed: number, random: () => number): Buffer {
  const data = Buffer.alloc(length)
  for (let at = 0; at < length; at += PIECE) {
    if (random() < 1 / 3) continue
    fillPattern(data.subarray(at, Math.min(at + PIECE, length)), { seed, offset: at, generation: 1 })
  }
  return data
}

/** A file of such data. */
export async function mixedFile(path: string, length: number, seed: number, random: () => number): Promise<void> {
  await writeFile(path, mixedData(length, seed, random))
}

/** Compares two files byte by byte; throws where they differ. */
export async function sameFiles(one: string, other: string): Promise<void> {
  await succeed('cmp', [one, other])
}

/** The checksum of a file, as the array makes it of a volume. */
export async function fileChecksum(path: string): Promise<string> {
  const sum = createChecksum()
  for await (const chunk of createReadStream(path)) sum.update(chunk as Buffer)
  return sum.digest()
}

/** Whether every byte is `value`. */
export function allAre(bytes: Uint8Array, value: number): boolean {
  return bytes.every((byte) => byte === value)
}
