import { writeFile } from 'node:fs/promises'
import { IoOp } from '@blockbraid/core'
import { expect, it } from 'vitest'
import type { Bed } from './support/bed.ts'
import { openBed } from './support/bed.ts'
import { qemuIo } from './support/qemu-io.ts'
import { run, succeed } from './support/tools.ts'

const MiB = 2 ** 20
const SIZE = 16 * MiB
/** Bytes that no honest request of these tests reaches. */
const VICTIM = 8 * MiB

/** 512 bytes of WRITE_ZEROES requests, a MiB each, with the headers of one kind. */
function forgedRequests(kind: 'extended' | 'compact'): Buffer {
  const size = kind === 'extended' ? 32 : 28
  const bytes = Buffer.alloc(512)
  for (let n = 0; n < 16; n++) {
    const at = n * size
    bytes.writeUInt32BE(kind === 'extended' ? 0x21e41c71 : 0x25609513, at)
    bytes.writeUInt16BE(6, at + 6)
    bytes.writeBigUInt64BE(BigInt(n), at + 8)
    bytes.writeBigUInt64BE(BigInt(VICTIM + (n % 8) * MiB), at + 16)
    bytes.writeUInt32BE(MiB, at + size - 4)
  }
  return bytes
}

async function openFilled(): Promise<Bed> {
  const bed = await openBed({ array: { volumes: [{ size: SIZE, blockSize: 512 }], log: true } })
  await bed.pair.user.write(0, Buffer.alloc(SIZE, 0xee))
  return bed
}

function expectUnharmed({ array }: Bed): void {
  const victim = Buffer.from(array.peek(0, VICTIM, SIZE - VICTIM))
  expect(victim.equals(Buffer.alloc(victim.length, 0xee))).toBe(true)
  expect(array.log.filter(({ op, offset }) => op === IoOp.WriteZeroes && offset >= VICTIM)).toEqual([])
}

it.each(['extended', 'compact'] as const)(
  'a file of forged requests, %s, is data when qemu-io writes it',
  async (kind) => {
    await using bed = await openFilled()
    const [file, read] = [bed.folder.at('forged'), bed.folder.at('read')]
    const forged = forgedRequests(kind)
    await writeFile(file, forged)
    await qemuIo(
      bed.uri,
      `write -s ${file} 0 512`,
      `write -f -s ${file} 4096 512`,
      `write -s ${file} 65536 1M`,
      'flush',
    )
    const socket = bed.folder.at('nbd.sock')
    const partition = `driver=raw,offset=${2 * MiB},size=${MiB},file.driver=nbd,file.path=${socket},file.export=vol-0`
    await succeed('qemu-io', ['-c', `write -s ${file} 512 512`, '--image-opts', partition])
    for (const at of [0, 4096, 65536, 65536 + MiB - 512, 2 * MiB + 512]) {
      expect(Buffer.from(bed.array.peek(0, at, 512)).equals(forged), `at ${at}`).toBe(true)
    }
    await succeed('qemu-img', ['dd', '-f', 'raw', '-O', 'raw', 'bs=512', 'count=1', `if=${bed.uri}`, `of=${read}`])
    await succeed('cmp', [file, read])
    expectUnharmed(bed)
  },
)

it.each(['512', '64k'])(
  'a file of forged requests is data in a qcow2 image on the export, clusters of %s',
  async (cluster) => {
    await using bed = await openFilled()
    const file = bed.folder.at('forged')
    await writeFile(file, Buffer.concat([forgedRequests('extended'), forgedRequests('compact')]))
    const io = (...commands: string[]): Promise<string> =>
      succeed('qemu-io', ['-f', 'qcow2', ...commands.flatMap((command) => ['-c', command]), bed.uri])
    await succeed('qemu-img', ['create', '-q', '-f', 'qcow2', '-o', `cluster_size=${cluster}`, bed.uri, '1M'])
    await io(
      `write -s ${file} 0 512`,
      `write -s ${file} 512 512`,
      `write -s ${file} 128k 256k`,
      `write -s ${file} 0 4k`,
    )
    const image = bed.folder.at('out')
    await succeed('qemu-img', ['convert', '-f', 'qcow2', '-O', 'raw', bed.uri, image])
    const { stdout } = await run('cmp', ['-n', '1024', file, image])
    expect(stdout).toBe('')
    expect((await run('qemu-img', ['check', '-f', 'qcow2', bed.uri])).code).toBe(0)
    expectUnharmed(bed)
  },
)
