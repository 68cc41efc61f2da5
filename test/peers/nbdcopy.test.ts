import { expect, it } from 'vitest'
import { openBed } from './support/bed.ts'
import { fileChecksum, mixedFile, sameFiles } from './support/data.ts'
import { seeded } from './support/seed.ts'
import { succeed } from './support/tools.ts'

const MiB = 2 ** 20
const busy = ['--connections=4', '--requests=64']

it.each([512, 4096] as const)('what nbdcopy brings in it takes out again, blocks of %i bytes', async (blockSize) => {
  const { seed, random } = seeded()
  await using bed = await openBed({ array: { volumes: [{ size: '64MiB', blockSize }] } })
  const [before, after] = [bed.folder.at('in'), bed.folder.at('out')]
  await mixedFile(before, 64 * MiB, seed, random)
  await succeed('nbdcopy', [...busy, '--flush', before, bed.uri])
  expect(bed.array.checksum(0)).toBe(await fileChecksum(before))
  await succeed('nbdcopy', [...busy, bed.uri, after])
  await sameFiles(before, after)
  for (const { ios, errors } of bed.pair.paths) {
    expect(ios).toBeGreaterThan(0)
    expect(errors).toBe(0)
  }
})

it('nbdcopy over TCP, without extents and with small requests', async () => {
  const { seed, random } = seeded()
  await using bed = await openBed({ array: { volumes: [{ size: '16MiB' }] }, listen: { host: '127.0.0.1', port: 0 } })
  const [before, after] = [bed.folder.at('in'), bed.folder.at('out')]
  await mixedFile(before, 16 * MiB, seed, random)
  await succeed('nbdcopy', [...busy, '--request-size=8192', '--allocated', before, bed.uri])
  await succeed('nbdcopy', [...busy, '--request-size=8192', '--no-extents', bed.uri, after])
  await sameFiles(before, after)
})

it('nbdcopy from one export to another', async () => {
  const { seed, random } = seeded()
  await using bed = await openBed({ array: { volumes: [{ size: '16MiB' }, { size: '16MiB' }] } })
  const file = bed.folder.at('in')
  await mixedFile(file, 16 * MiB, seed, random)
  await succeed('nbdcopy', [...busy, file, bed.uri])
  await succeed('nbdcopy', [...busy, '--destination-is-zero', bed.uri, bed.pairs[1]!.kernel.node])
  expect(bed.array.checksum(1)).toBe(await fileChecksum(file))
  // Holes were not filled.
  expect(bed.array.volumes[1]!.allocated).toBeLessThan(16 * MiB)
})
