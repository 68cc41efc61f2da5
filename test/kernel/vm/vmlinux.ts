import { promisify } from 'node:util'
import { gunzip, zstdDecompress } from 'node:zlib'
import { output } from './commands.ts'

/** Unpacks xz with the program of that name, which Node has no part for. */
export function unxz(data: Buffer): Promise<Buffer> {
  return output('xz', ['-dc'], { input: data })
}

/** Unpacks zstd. */
export const unzstd: (data: Buffer) => Promise<Buffer> = promisify(zstdDecompress)

const ungzip: (data: Buffer) => Promise<Buffer> = promisify(gunzip)

/**
 * The ELF kernel inside a bzImage (Linux x86 boot protocol 2.08: setup_sects, payload_offset, payload_length).
 * QEMU starts it directly; unpacking it inside the emulated machine would take a second per boot.
 */
export async function vmlinuxOf(image: Buffer): Promise<Buffer> {
  const start = (image.readUInt8(0x1f1) + 1) * 512 + image.readUInt32LE(0x248)
  const payload = image.subarray(start, start + image.readUInt32LE(0x24c))
  // The last four bytes are the unpacked size, not part of the stream.
  const packed = payload.subarray(0, -4)
  switch (payload.readUInt32BE(0)) {
    case 0x28b52ffd:
      return unzstd(packed)
    case 0xfd377a58:
      return unxz(packed)
    case 0x7f454c46:
      return payload
    default:
      if (payload.readUInt16BE(0) === 0x1f8b) return ungzip(packed)
      throw new Error(`a kernel image packed in an unknown way: it starts with ${payload.toString('hex', 0, 4)}`)
  }
}
