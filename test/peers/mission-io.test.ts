import { Errno, IoOp } from '@blockbraid/core'
import { expect, it } from 'vitest'
import { openBed } from './support/bed.ts'
import { qemuIo, startQemuIo, tryQemuIo } from './support/qemu-io.ts'
import { run, succeed } from './support/tools.ts'

const KiB = 1024

it('mission row 11: the right bytes and the right error come back to the application', async () => {
  await using bed = await openBed({ array: { volumes: [{ size: '1MiB' }, { size: '1MiB', readOnly: true }] } })
  const heal = bed.array.fail({ volume: 0, offset: 64 * KiB, length: 4096, status: Errno.ENODATA })
  await qemuIo(bed.uri, 'write -P 3 0 64k', 'read -P 3 0 64k')
  const medium = await tryQemuIo(bed.uri, 'read 64k 4k')
  expect(medium.code).toBe(1)
  expect(medium.stdout + medium.stderr).toContain('Input/output error')
  // A medium error is the volume's, not the path's: no path is blamed.
  expect(bed.pair.paths.map(({ failures }) => failures)).toEqual([0, 0, 0, 0])
  heal()
  await qemuIo(bed.uri, 'read -P 0 64k 4k')
  const refused = await run('nbdcopy', ['--', bed.uri, bed.pairs[1]!.kernel.node])
  expect(refused.code).toBe(1)
  await succeed('nbdcopy', ['--', bed.pairs[1]!.kernel.node, 'null:'])
  expect(bed.array.volumes[1]!.allocated).toBe(0)
})

it('mission row 12: discard, zero-out and flush arrive as I/O, and the size is told', async () => {
  await using bed = await openBed({ array: { volumes: [{ size: '1MiB' }], log: true } })
  await qemuIo(bed.uri, 'write 0 128k', 'discard 0 64k', 'write -z -u 64k 4k', 'write -z 68k 4k', 'flush')
  const { Write, Trim, WriteZeroes, Flush } = IoOp
  const seen = bed.array.log.slice(0, 5).map(({ op, offset, length }) => [op, offset / KiB, length / KiB])
  expect(seen).toEqual([
    [Write, 0, 128],
    [Trim, 0, 64],
    [WriteZeroes, 64, 4],
    [WriteZeroes, 68, 4],
    [Flush, 0, 0],
  ])
  expect(await succeed('nbdinfo', ['--size', bed.uri])).toBe(`${1024 * KiB}\n`)
})

it('mission rows 14 and 15: the device in this process and the export are one volume, coherent after flush', async () => {
  await using bed = await openBed({ array: { volumes: [{ size: '1MiB' }] } })
  await using disk = await bed.agent.open(bed.array.volumes[0]!.id)
  const session = await startQemuIo(bed.uri)
  for (let n = 1; n <= 50; n++) {
    await disk.write(0, Buffer.alloc(8192, n))
    await disk.flush()
    expect(await session.ask(`read -P ${n} 0 8k`)).not.toMatch(/failed/)
    expect(await session.ask(`write -P ${n + 100} 64k 8k`)).not.toMatch(/failed/)
    await session.ask('flush')
    expect(Buffer.from(await disk.read(64 * KiB, 8192)).equals(Buffer.alloc(8192, n + 100))).toBe(true)
  }
  // A read that does not hold what was expected is told, or the above would show nothing.
  expect(await session.ask('read -P 1 0 8k')).toMatch(/failed/)
  await session.kill()
})
