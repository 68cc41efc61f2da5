import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import type { Bed } from './support/bed.ts'
import { openBed } from './support/bed.ts'
import { mixedData, sameFiles } from './support/data.ts'
import { qemuIo } from './support/qemu-io.ts'
import { seeded } from './support/seed.ts'
import { start, succeed } from './support/tools.ts'

const KiB = 1024
const MiB = KiB * KiB
const SIZE = 64 * MiB
const busy = ['--connections=4', '--requests=64']

/** Makes an ext4 image with a tree in it, and copies it into the first volume. */
async function copyIn(bed: Bed, seed: number, random: () => number): Promise<void> {
  const tree = bed.folder.at('tree')
  await mkdir(join(tree, 'deep/er'), { recursive: true })
  await writeFile(join(tree, 'letter'), 'as it was\n'.repeat(2000))
  await writeFile(join(tree, 'deep/er/mixed'), mixedData(3 * MiB + 512, seed, random))
  for (let n = 0; n < 200; n++) await writeFile(join(tree, 'deep', `small-${n}`), `${n}\n`)
  const image = bed.folder.at('in.img')
  await succeed('mkfs.ext4', ['-q', '-b', '4096', '-d', tree, image, `${SIZE / KiB}k`])
  await succeed('nbdcopy', [...busy, '--flush', image, bed.uri])
}

/** Copies the volume out; the filesystem in it must be clean. Returns the image. */
async function copyOut(bed: Bed): Promise<string> {
  const image = bed.folder.at('out.img')
  await succeed('nbdcopy', [...busy, bed.uri, image])
  await succeed('e2fsck', ['-fn', image])
  return image
}

/** Takes a file out of an ext4 image. */
async function dump(bed: Bed, image: string, path: string): Promise<string> {
  const file = bed.folder.at('dumped')
  await succeed('debugfs', ['-R', `dump ${path} ${file}`, image])
  return file
}

it('an ext4 image copied in, changed block by block with qemu-io, and copied out is clean', async () => {
  const { seed, random } = seeded()
  await using bed = await openBed({ array: { volumes: [{ size: SIZE }] } })
  await copyIn(bed, seed, random)
  const blocks = await succeed('debugfs', ['-R', 'blocks /letter', bed.folder.at('in.img')])
  const text = Buffer.from('as it is!\n'.repeat(2000))
  const edited = bed.folder.at('edited')
  for (const [index, block] of blocks.trim().split(/\s+/).map(Number).entries()) {
    // The rest of the last block stays zero, as mkfs left it.
    const piece = Buffer.alloc(4096)
    text.copy(piece, 0, index * 4096)
    await writeFile(edited, piece)
    await qemuIo(bed.uri, `write -s ${edited} ${block * 4096} 4096`)
  }
  const image = await copyOut(bed)
  expect(await readFile(await dump(bed, image, '/letter'), 'utf8')).toBe('as it is!\n'.repeat(2000))
  await sameFiles(bed.folder.at('tree/deep/er/mixed'), await dump(bed, image, '/deep/er/mixed'))
  expect(await succeed('debugfs', ['-R', 'ls -p /deep', image])).toMatch(/\/small-199\//)
})

// debugfs and e2fsck work on files, and an export is one where nbdfuse may mount it: root with /dev/fuse.
const canFuse = existsSync('/dev/fuse') && process.getuid?.() === 0
if (!canFuse) console.warn('no /dev/fuse, or not root: debugfs does not change a filesystem through the export')

it.skipIf(!canFuse)('e2fsprogs change and check the filesystem through the export', async () => {
  const { seed, random } = seeded()
  await using bed = await openBed({ array: { volumes: [{ size: SIZE }] } })
  await copyIn(bed, seed, random)
  const mount = bed.folder.at('mount')
  await mkdir(mount)
  // e2fsprogs write single bytes of the superblock: nbdkit makes blocks of them.
  const blocks = ['nbdkit', '--filter=blocksize', 'nbd', `uri=${bed.uri}`, 'minblock=4096']
  const fuse = start('nbdfuse', [mount, '[', ...blocks, ']'])
  const disk = join(mount, 'nbd')
  try {
    await expect.poll(() => readdir(mount), { timeout: 20_000 }).toEqual(['nbd'])
    const commands = bed.folder.at('commands')
    const added = bed.folder.at('tree/letter')
    const lines = ['mkdir /new', `write ${added} /new/copy`, 'rm /deep/er/mixed', 'ln /letter /again']
    // A second name of a file is counted by hand in debugfs.
    await writeFile(commands, `${[...lines, 'sif /letter links_count 2'].join('\n')}\n`)
    await succeed('debugfs', ['-w', '-f', commands, disk])
    await succeed('e2fsck', ['-fn', disk])
    await succeed('tune2fs', ['-L', 'blockbraid', disk])
  } finally {
    fuse.kill('SIGINT')
    await fuse.ended
  }
  const image = await copyOut(bed)
  await sameFiles(bed.folder.at('tree/letter'), await dump(bed, image, '/new/copy'))
  await sameFiles(bed.folder.at('tree/letter'), await dump(bed, image, '/again'))
  expect(await succeed('e2label', [image])).toBe('blockbraid\n')
  expect(await succeed('debugfs', ['-R', 'ls -p /deep/er', image])).not.toContain('/mixed/')
})
