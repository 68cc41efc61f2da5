import { open, stat } from 'node:fs/promises'
import { Errno } from '@blockbraid/core'
import { expect, it } from 'vitest'
import { allAre } from './support/data.ts'
import { fio, verifiedMix } from './support/fio.ts'
import { openIscsiBed } from './support/iscsi-bed.ts'
import { qemuIo } from './support/qemu-io.ts'
import { itWithTgt, openTgt } from './support/tgt.ts'
import { succeed } from './support/tools.ts'

const patient = { timeout: 20_000 }
const MiB = 2 ** 20
const TiB = 2 ** 40

/** Bytes of a file that backs a disk. */
async function peek(file: string, offset: number, length: number): Promise<Buffer> {
  await using handle = await open(file)
  const { buffer } = await handle.read(Buffer.alloc(length), 0, length, offset)
  return buffer
}

itWithTgt.each([512, 4096] as const)('blocks of %i bytes, from the first to the last', async (blockSize) => {
  await using tgt = await openTgt()
  const target = await tgt.addTarget()
  const { file } = await target.addLun({ blockSize, size: 16 * MiB })
  await using bed = await openIscsiBed({ portals: tgt.portals })
  const { limits } = bed.pair.user
  expect([limits.blockSize, limits.size, limits.readOnly]).toEqual([blockSize, 16 * MiB, false])
  const block = (fill: number): Buffer => Buffer.alloc(blockSize, fill)
  await bed.pair.user.write(0, block(1))
  await bed.pair.user.write(16 * MiB - blockSize, block(2), { fua: true })
  await bed.pair.user.flush()
  expect(await peek(file, 0, blockSize)).toEqual(block(1))
  expect(await peek(file, 16 * MiB - blockSize, blockSize)).toEqual(block(2))
  await expect(bed.pair.user.read(16 * MiB, blockSize)).rejects.toThrow()
  const sizes = blockSize === 512 ? ['--bsrange=512-64k', '--blockalign=512'] : []
  await fio(bed.uri, bed.folder.path, [...verifiedMix, ...sizes, '--size=16M'])
  await succeed('nbdcopy', [bed.uri, bed.folder.at('out')])
  await succeed('cmp', [bed.folder.at('out'), file])
})

itWithTgt.each([512, 4096] as const)('3 TiB in blocks of %i bytes: data beyond 2 TiB', async (blockSize) => {
  await using tgt = await openTgt()
  const target = await tgt.addTarget()
  const { file } = await target.addLun({ blockSize, size: 3 * TiB })
  await using bed = await openIscsiBed({ portals: tgt.portals })
  const { user } = bed.pair
  expect(user.limits.size).toBe(3 * TiB)
  // Where 32 bits of blocks, of 512 and of 4096 bytes, and of bytes end; and the ends of the disk.
  const places = [0, 4 * 2 ** 30, 2 * TiB - 4096, 2 * TiB, 2 * TiB + 4096, 3 * TiB - 4096]
  for (const [n, place] of places.entries()) await user.write(place, Buffer.alloc(4096, n + 1))
  // One that straddles.
  await user.write(2 * TiB - 65_536, Buffer.alloc(32_768, 0x77))
  for (const [n, place] of places.entries()) {
    expect(allAre(await user.read(place, 4096), n + 1)).toBe(true)
    expect(allAre(await peek(file, place, 4096), n + 1)).toBe(true)
  }
  await qemuIo(bed.uri, `write -P 0x5a ${2 * TiB + MiB} 1M`, `read -P 0x5a ${2 * TiB + MiB} 1M`)
  await fio(bed.uri, bed.folder.path, [...verifiedMix, `--offset=${2 * TiB - 8 * MiB}`, '--size=16M'])
})

itWithTgt('trim gives space back where the disk is thin, and zeroes read back as zeroes', async () => {
  await using tgt = await openTgt()
  const target = await tgt.addTarget()
  const { file } = await target.addLun({ size: 16 * MiB, blockSize: 4096, params: { thin_provisioning: true } })
  await using bed = await openIscsiBed({ portals: tgt.portals })
  const { user } = bed.pair
  expect(user.limits.trim).toBe(true)
  await user.write(0, Buffer.alloc(8 * MiB, 0xaa))
  await user.flush()
  const allocated = async (): Promise<number> => (await stat(file)).blocks * 512
  expect(await allocated()).toBe(8 * MiB)
  await user.trim(MiB, 4 * MiB)
  expect(await allocated()).toBe(4 * MiB)
  await user.writeZeroes(5 * MiB, MiB)
  expect(allAre(await user.read(5 * MiB, MiB), 0)).toBe(true)
  await user.writeZeroes(6 * MiB, 4096, { noUnmap: true })
  expect(allAre(await user.read(6 * MiB - 4096, 2 * 4096), 0)).toBe(true)
  expect(allAre(await user.read(6 * MiB + 4096, 4096), 0xaa)).toBe(true)
  // The last block, and all of it.
  await user.trim(16 * MiB - 4096, 4096)
  await user.trim(0, 16 * MiB)
  expect(await allocated()).toBe(0)
  const args = ['--rw=randtrimwrite', '--bs=16k', '--iodepth=8', '--size=16M', '--verify=crc32c', '--verify_fatal=1']
  const job = await fio(bed.uri, bed.folder.path, [...args, '--serialize_overlap=1'])
  expect([job.trims, job.writes]).toEqual([1024, 1024])
})

itWithTgt('a thick disk offers no trim, and zeroes are written', async () => {
  await using tgt = await openTgt()
  const target = await tgt.addTarget()
  await target.addLun({ size: 16 * MiB })
  await using bed = await openIscsiBed({ portals: tgt.portals })
  const { user } = bed.pair
  expect(user.limits.trim).toBe(false)
  await user.write(0, Buffer.alloc(4 * MiB, 0xaa))
  await user.writeZeroes(512, 2 * MiB)
  const read = await user.read(0, 4 * MiB)
  expect(allAre(read.subarray(0, 512), 0xaa)).toBe(true)
  expect(allAre(read.subarray(512, 512 + 2 * MiB), 0)).toBe(true)
  expect(allAre(read.subarray(512 + 2 * MiB), 0xaa)).toBe(true)
})

itWithTgt('a write-protected disk is one: known from the start, refused with EPERM', async () => {
  await using tgt = await openTgt()
  const target = await tgt.addTarget()
  await target.addLun({ params: { readonly: true } })
  await using bed = await openIscsiBed({ portals: tgt.portals })
  expect(bed.pair.user.limits.readOnly).toBe(true)
  await bed.pair.user.read(0, 4096)
  await expect(bed.pair.user.write(0, Buffer.alloc(4096))).rejects.toMatchObject({ errno: Errno.EPERM })
})

itWithTgt('a disk that is protected later: the write fails for good, no path is blamed', async () => {
  await using tgt = await openTgt()
  const target = await tgt.addTarget()
  const disk = await target.addLun()
  await using bed = await openIscsiBed({ portals: tgt.portals })
  await bed.pair.user.write(0, Buffer.alloc(4096))
  await disk.update({ readonly: true })
  // From the target at first; from what is known of the disk once it was looked at again.
  const error = await bed.pair.user.write(0, Buffer.alloc(4096)).catch((cause: unknown) => cause)
  expect([Errno.EROFS, Errno.EPERM]).toContain((error as { errno: number }).errno)
  await bed.pair.user.read(0, 4096)
  expect(bed.pair.paths.map(({ state, failures }) => [state, failures])).toEqual(Array(2).fill(['up', 0]))
})

itWithTgt('a disk that is protected for a while is read-only for that time, and writable again by itself', async () => {
  await using tgt = await openTgt()
  const target = await tgt.addTarget()
  const disk = await target.addLun()
  await using bed = await openIscsiBed({ portals: tgt.portals })
  const told: boolean[] = []
  bed.pair.events.on('limits', ({ limits, before }) => {
    if (limits.readOnly !== before.readOnly) told.push(limits.readOnly)
  })
  await qemuIo(bed.uri, 'write -P 0x11 0 4k')
  await disk.update({ readonly: true })
  // tgt tells nobody, and nobody writes: the polls find it.
  await expect.poll(() => bed.pair.user.limits.readOnly, patient).toBe(true)
  await succeed('nbdinfo', ['--is', 'read-only', bed.uri])
  await expect(qemuIo(bed.uri, 'write -P 0x22 0 4k')).rejects.toThrow()
  await disk.update({ readonly: false })
  await expect.poll(() => bed.pair.user.limits.readOnly, patient).toBe(false)
  await qemuIo(bed.uri, 'write -P 0x33 0 4k', 'read -P 0x33 0 4k')
  expect(told).toEqual([true, false])
  expect(bed.pair.paths.map(({ state, failures }) => [state, failures])).toEqual(Array(2).fill(['up', 0]))
})

itWithTgt('a disk grows under I/O, and the export with it', async () => {
  await using tgt = await openTgt()
  const target = await tgt.addTarget()
  const disk = await target.addLun({ size: 16 * MiB })
  await using bed = await openIscsiBed({ portals: tgt.portals })
  const sizes: number[] = []
  bed.pair.events.on('resized', ({ size }) => sizes.push(size))
  const load = fio(bed.uri, bed.folder.path, [...verifiedMix, '--size=16M', '--time_based', '--runtime=3'])
  await disk.grow(48 * MiB)
  // tgt tells nobody: the next look at the disk finds it.
  const { resized } = await bed.agent.rescan()
  expect(resized).toEqual([{ volume: bed.pair.volume, before: 16 * MiB, size: 48 * MiB }])
  await expect.poll(() => sizes, patient).toEqual([48 * MiB])
  await load
  expect(await succeed('nbdinfo', ['--size', bed.uri])).toBe(`${48 * MiB}\n`)
  await qemuIo(bed.uri, 'write -P 0x42 47M 1M', 'read -P 0x42 47M 1M')
  expect(allAre(await peek(disk.file, 47 * MiB, MiB), 0x42)).toBe(true)
  expect(bed.pair.state).toBe('active')
})

itWithTgt('the same target and LUN number with another disk behind it is never used for the old one', async () => {
  await using tgt = await openTgt()
  const target = await tgt.addTarget()
  await target.addLun()
  await using bed = await openIscsiBed({ portals: tgt.portals, multipath: { noPathTimeout: 1500, reconnectDelay: 50 } })
  await bed.pair.user.write(0, Buffer.alloc(4096, 1))
  const { volume } = bed.pair
  await target.remove()
  const again = await tgt.addTarget({ name: target.name })
  const other = await again.addLun()
  await expect(bed.pair.user.write(0, Buffer.alloc(4096, 2))).rejects.toMatchObject({ errno: Errno.EIO })
  await bed.agent.rescan()
  await expect(bed.pair.user.write(0, Buffer.alloc(4096, 2))).rejects.toMatchObject({ errno: Errno.EIO })
  expect(allAre(await peek(other.file, 0, 4096), 0)).toBe(true)
  // It is a volume of its own.
  const found = bed.agent.devices().filter(({ kind }) => kind === 'multipath')
  expect(found.map((device) => device.volume)).not.toContain(volume)
  expect(found.length).toBe(1)
  await using disk = await bed.agent.open(found[0]!.id)
  await disk.write(0, Buffer.alloc(4096, 3))
  expect(allAre(await peek(other.file, 0, 4096), 3)).toBe(true)
  // What was never flushed is lost, and the end of the pair says so.
  await expect(bed.pair.close()).rejects.toMatchObject({ errno: Errno.EIO })
})

it.todo('tgt has no ALUA (TPGS 0): access states are shown with LIO and with the simulated array')
it.todo(
  'tgt makes NAA identities of target and LUN numbers alone: a LUN number that leads to another disk cannot be told',
)
