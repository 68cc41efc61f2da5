import type { BlockDevicePair, HostAgent } from '@blockbraid/core'
import { createHostAgent } from '@blockbraid/core'
import { iscsi } from '@blockbraid/target-iscsi'
import { nbd } from '@blockbraid/transport-nbd'
import { expect } from 'vitest'
import { openFolder } from './support/bed.ts'
import { calm } from './support/iscsi-bed.ts'
import type { Tgt } from './support/tgt.ts'
import { itWithTgt, openTgt } from './support/tgt.ts'
import { succeed } from './support/tools.ts'

const MiB = 2 ** 20

interface Disk {
  readonly tid?: number
  readonly name: string
  readonly size?: number
  readonly luns?: number
}

/** Gives a tgtd a target with the numbers that every installation begins with, and disks full of one letter each. */
async function addDisks(tgt: Tgt, letters: string, { tid = 1, name, size = 8 * MiB }: Disk): Promise<void> {
  const target = ['--tid', String(tid)]
  await tgt.adm('--op', 'new', '--mode', 'target', ...target, '-T', name)
  for (const [index, letter] of [...letters].entries()) {
    const file = tgt.folder.at(`disk-${letter}`)
    await succeed('sh', ['-c', `head -c ${size} /dev/zero | tr '\\0' ${letter} > ${file}`])
    const unit = [...target, '--lun', String(index + 1)]
    await tgt.adm('--op', 'new', '--mode', 'logicalunit', ...unit, '-b', file)
  }
  await tgt.adm('--op', 'bind', '--mode', 'target', ...target, '-I', 'ALL')
}

function volumes(agent: HostAgent) {
  return agent.devices().filter(({ kind }) => kind === 'multipath')
}

/** Reads a pair's export with qemu-io and expects one letter everywhere. */
async function holds({ kernel }: BlockDevicePair, letter: string, size: number): Promise<void> {
  const pattern = `read -P ${letter.charCodeAt(0)} 0 ${size}`
  const said = await succeed('qemu-io', ['-f', 'raw', '-r', '-c', pattern, kernel.node])
  expect(said).toContain(`read ${size}/${size} bytes`)
  expect(said).not.toContain('verification failed')
}

const A = 'iqn.2026-11.test.tgt:a'
const B = 'iqn.2026-11.test.tgt:b'

itWithTgt.each([
  ['of two names', A, B],
  ['of one name', A, A],
])(
  'disks of two tgtd with default ids, %s, are not joined, and both are named with the cure',
  async (_what, one, two) => {
    await using first = await openTgt()
    await using second = await openTgt()
    await addDisks(first, 'x', { name: one })
    await addDisks(second, 'y', { name: two })
    const portals = [...first.portals, ...second.portals]
    const target = () => iscsi({ ...calm, portals })
    const where = (tgt: Tgt, name: string): string[] => tgt.portals.map((portal) => `iscsi:${name}/${portal}/lun1`)
    {
      await using agent = createHostAgent({ targets: [target()] })
      const { added, errors } = await agent.rescan()
      expect([...added].sort()).toEqual([...where(first, one), ...where(second, two)].sort())
      expect(volumes(agent)).toEqual([])
      expect(errors.map(({ volume }) => volume)).toEqual(['naa.60000000000000000e00000000010001'])
      const { message } = errors[0]!.error
      expect(where(first, one).some((id) => message.includes(id))).toBe(true)
      expect(where(second, two).some((id) => message.includes(id))).toBe(true)
      expect(message).toMatch(/distinct: \[\[.+\]\]/)
    }
    // As the message says it.
    const distinct = one === two ? [[where(first, one)[0]!, where(second, two)[0]!]] : [[`${one}/lun1`, `${two}/lun1`]]
    await using folder = await openFolder()
    await using agent = createHostAgent({ targets: [target()], distinct })
    expect((await agent.rescan()).errors).toEqual([])
    const both = volumes(agent)
    expect(both.map(({ paths }) => [...paths].sort())).toEqual([where(first, one).sort(), where(second, two).sort()])
    const transport = nbd({ socket: folder.at('nbd.sock') })
    for (const [index, letter] of ['x', 'y'].entries()) {
      const pair = await agent.pair({ name: letter, device: both[index]!.id, transport })
      await holds(pair, letter, 8 * MiB)
    }
  },
)

itWithTgt('disks of other sizes are not joined under any word of the config', async () => {
  await using first = await openTgt()
  await using second = await openTgt()
  await addDisks(first, 'x', { name: A, size: 16 * MiB })
  await addDisks(second, 'y', { name: B })
  const portals = [...first.portals, ...second.portals]
  await using agent = createHostAgent({
    targets: [iscsi({ ...calm, portals })],
    same: [['naa.60000000000000000e00000000010001']],
  })
  const { errors } = await agent.rescan()
  expect(errors).toHaveLength(1)
  expect(errors[0]!.error.message).toMatch(/their sizes are \d+ and \d+ bytes/)
  expect(volumes(agent)).toEqual([])
})

itWithTgt(
  'two LUNs of one target with one identity are not joined, and are two volumes where the config says so',
  async () => {
    await using tgt = await openTgt()
    await addDisks(tgt, 'xy', { name: A })
    // All letters that are no hex digits get lost in the NAA that tgt makes of it.
    for (const lun of ['1', '2']) {
      const unit = ['--mode', 'logicalunit', '--tid', '1', '--lun', lun]
      await tgt.adm('--op', 'update', ...unit, '--params', `scsi_id=disk-${lun === '1' ? 'x' : 'y'}1`)
    }
    const targets = () => [iscsi({ ...calm, portals: tgt.portals })]
    {
      await using agent = createHostAgent({ targets: targets() })
      const { errors } = await agent.rescan()
      expect(errors).toHaveLength(1)
      expect(errors[0]!.error.message).toContain(`distinct: [[${A}/lun1, ${A}/lun2]]`)
      expect(volumes(agent)).toEqual([])
    }
    await using folder = await openFolder()
    await using agent = createHostAgent({ targets: targets(), distinct: [[`${A}/lun1`, `${A}/lun2`]] })
    expect((await agent.rescan()).errors).toEqual([])
    const transport = nbd({ socket: folder.at('nbd.sock') })
    for (const { id, paths } of volumes(agent)) {
      expect(paths).toHaveLength(2)
      const letter = id.endsWith('lun1') ? 'x' : 'y'
      await holds(await agent.pair({ name: letter, device: id, transport }), letter, 8 * MiB)
    }
    expect(agent.pairs).toHaveLength(2)
  },
)

itWithTgt('one tgtd behind two portals that tell nothing of each other is proven to be one', async () => {
  await using tgt = await openTgt()
  await addDisks(tgt, 'xy', { name: A })
  await using agent = createHostAgent({ targets: [iscsi({ ...calm, portals: tgt.portals })] })
  expect((await agent.rescan()).errors).toEqual([])
  expect(volumes(agent).map(({ paths }) => paths.length)).toEqual([2, 2])
})
