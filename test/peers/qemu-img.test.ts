import { expect, it } from 'vitest'
import { openBed } from './support/bed.ts'
import { fileChecksum, mixedFile, sameFiles } from './support/data.ts'
import { seeded } from './support/seed.ts'
import { run, succeed } from './support/tools.ts'

const MiB = 2 ** 20

it.each([512, 4096] as const)('qemu-img converts in and out and compares, blocks of %i bytes', async (blockSize) => {
  const { seed, random } = seeded()
  await using bed = await openBed({ array: { volumes: [{ size: '32MiB', blockSize }] } })
  const [raw, qcow2, after] = [bed.folder.at('in.raw'), bed.folder.at('in.qcow2'), bed.folder.at('out.raw')]
  await mixedFile(raw, 32 * MiB, seed, random)
  await succeed('qemu-img', ['convert', '-f', 'raw', '-O', 'qcow2', raw, qcow2])
  await succeed('qemu-img', ['convert', '-n', '-W', '-m', '8', '-f', 'qcow2', '-O', 'raw', qcow2, bed.uri])
  expect(bed.array.checksum(0)).toBe(await fileChecksum(raw))
  expect(await succeed('qemu-img', ['compare', '-f', 'qcow2', '-F', 'raw', qcow2, bed.uri])).toContain('identical')
  await succeed('qemu-img', ['convert', '-m', '8', '-f', 'raw', '-O', 'raw', bed.uri, after])
  await sameFiles(raw, after)

  const block = Buffer.from(bed.array.peek(0, 0, blockSize)).map((byte) => byte ^ 0xff)
  await bed.pair.user.write(0, block)
  const { code, stdout } = await run('qemu-img', ['compare', '-f', 'raw', '-F', 'raw', raw, bed.uri])
  expect(code).toBe(1)
  expect(stdout).toContain('Content mismatch at offset 0!')
})

it('qemu-img map and info tell the truth', async () => {
  await using bed = await openBed({ array: { volumes: [{ size: '8MiB' }] } })
  await bed.pair.user.write(MiB, Buffer.alloc(2 * MiB, 'x'))
  await bed.pair.user.trim(2 * MiB, MiB / 2)
  const map = JSON.parse(await succeed('qemu-img', ['map', '-f', 'raw', '--output=json', bed.uri])) as {
    start: number
    length: number
    zero: boolean
    data: boolean
  }[]
  expect(map.map(({ start, length, zero, data }) => [start / MiB, length / MiB, zero, data])).toEqual([
    [0, 1, true, false],
    [1, 1, false, true],
    [2, 0.5, true, false],
    [2.5, 0.5, false, true],
    [3, 5, true, false],
  ])
  const info = JSON.parse(await succeed('qemu-img', ['info', '-f', 'raw', '--output=json', bed.uri])) as object
  expect(info).toMatchObject({ 'virtual-size': 8 * MiB, format: 'raw' })
})
