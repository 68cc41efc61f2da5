import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { createChaosProxy } from '@blockbraid/testkit'
import { expect } from 'vitest'
import { openFolder } from './support/bed.ts'
import { openIscsiBed } from './support/iscsi-bed.ts'
import { itWithSlowTgt, openSlowTgt } from './support/slow-tgt.ts'
import type { Tgt } from './support/tgt.ts'
import { itWithTgt, openTgt } from './support/tgt.ts'

const patient = { timeout: 60_000, interval: 20 }
const SIZE = 64 * 1024

async function proxyBefore(tgt: Tgt) {
  const [host, port] = tgt.portals[0].split(':') as [string, string]
  return createChaosProxy({ to: { host, port: Number(port) } })
}

itWithSlowTgt('a LUN of tgt that hangs holds up no other one, also after their session was lost', async () => {
  await using folder = await openFolder()
  await using slow = await openSlowTgt(folder.path)
  const target = await slow.tgt.addTarget()
  for (let lun = 0; lun < 4; lun++) await target.addLun({ size: 1 << 20 })
  await using proxy = await proxyBefore(slow.tgt)
  await using bed = await openIscsiBed({ portals: [proxy.address], toldPortals: false })
  const [sick, ...well] = bed.pairs.map(({ user }) => user)
  const hung = sick!.write(0, Buffer.alloc(SIZE, 'S'))
  await expect.poll(() => existsSync(slow.mark('begun')), patient).toBe(true)
  proxy.cut()
  // Each of them is read and written long before the sick one has an answer.
  for (let round = 0; round < 20; round++) {
    for (const user of well) {
      await user.write(0, Buffer.alloc(SIZE, round))
      expect((await user.read(0, SIZE)).every((byte) => byte === round)).toBe(true)
    }
  }
  expect(existsSync(slow.mark('done'))).toBe(false)
  expect(bed.pairs.slice(1).map(({ state }) => state)).toEqual(['active', 'active', 'active'])
  await writeFile(slow.mark('go'), '')
  await hung
  await expect.poll(() => bed.pairs.map(({ state }) => state), patient).toEqual(Array(4).fill('active'))
})

itWithTgt('a tgt that refuses logins is asked a few times, though thirty volumes wait for it', async () => {
  await using tgt = await openTgt()
  const target = await tgt.addTarget()
  for (let lun = 0; lun < 30; lun++) await target.addLun({ size: 1 << 20 })
  await using proxy = await proxyBefore(tgt)
  await using bed = await openIscsiBed({ portals: [proxy.address], toldPortals: false })
  expect(bed.pairs).toHaveLength(30)
  const all = ['--mode', 'target', '--tid', String(target.tid), '-I', 'ALL']
  await tgt.adm('--op', 'unbind', ...all)
  const before = proxy.accepted
  proxy.cut()
  await sleep(4000)
  expect(proxy.accepted - before).toBeGreaterThan(2)
  expect(proxy.accepted - before).toBeLessThan(14)
  await tgt.adm('--op', 'bind', ...all)
  await expect.poll(() => bed.pairs.every(({ state }) => state === 'active'), { timeout: 15_000 }).toBe(true)
})
