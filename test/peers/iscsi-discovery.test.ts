import { createHostAgent } from '@blockbraid/core'
import { iscsi } from '@blockbraid/target-iscsi'
import { expect, it } from 'vitest'
import { openFolder } from './support/bed.ts'
import { command } from './support/cli.ts'
import { calm, openIscsiBed, states } from './support/iscsi-bed.ts'
import { itWithTgt, openTgt } from './support/tgt.ts'
import { run } from './support/tools.ts'

const patient = { timeout: 20_000 }
const MiB = 2 ** 20

itWithTgt('every disk of every target behind two portals is found; what is no disk is left out', async () => {
  await using tgt = await openTgt()
  const one = await tgt.addTarget()
  const two = await tgt.addTarget()
  await one.addLun({ size: 8 * MiB })
  await one.addLun({ size: 16 * MiB, blockSize: 4096, lun: 200 })
  await two.addLun({ size: 32 * MiB })
  await using agent = createHostAgent({ targets: [iscsi({ ...calm, portals: tgt.portals })] })
  const report = await agent.rescan()
  expect(report.errors).toEqual([])
  const path = (target: string, portal: string, lun: number): string => `iscsi:${target}/${portal}/lun${lun}`
  const luns = [[one, 1] as const, [one, 200] as const, [two, 1] as const]
  const wanted = luns.map(([{ name }, lun]) => tgt.portals.map((portal) => path(name, portal, lun)))
  expect([...report.added].sort()).toEqual(wanted.flat().sort())
  const devices = agent.devices().filter(({ kind }) => kind === 'multipath')
  expect(devices.map(({ size, blockSize }) => [size, blockSize]).sort()).toEqual(
    [
      [8 * MiB, 512],
      [16 * MiB, 4096],
      [32 * MiB, 512],
    ].sort(),
  )
  for (const { paths, addresses, product } of devices) {
    expect(wanted.map((list) => list.join())).toContain([...paths].sort().join())
    expect([...addresses].sort()).toEqual([...tgt.portals].sort())
    expect(product).toMatch(/IET.*VIRTUAL-DISK/)
  }
})

itWithTgt('a target without disks is no error', async () => {
  await using tgt = await openTgt()
  const { name } = await tgt.addTarget()
  await using agent = createHostAgent({ targets: [iscsi({ ...calm, portals: tgt.portals, target: name })] })
  expect(await agent.rescan()).toEqual({ added: [], removed: [], errors: [] })
})

itWithTgt('disks that come and go are followed, at a rescan and by what the target tells', async () => {
  await using tgt = await openTgt()
  const target = await tgt.addTarget()
  await target.addLun()
  await using bed = await openIscsiBed({ portals: tgt.portals })
  const { agent, pair } = bed
  const volumes = (): number => agent.devices().filter(({ kind }) => kind === 'multipath').length
  const second = await target.addLun()
  await expect.poll(volumes, patient).toBe(2)
  await second.remove()
  await expect.poll(volumes, patient).toBe(1)
  const third = await target.addLun()
  await agent.rescan()
  expect(volumes()).toBe(2)
  await third.remove()
  await agent.rescan()
  expect(volumes()).toBe(1)
  await expect.poll(() => states(pair), patient).toEqual(['up', 'up'])
})

itWithTgt('the paths of 30 disks share one session a portal; a session each where that is asked for', async () => {
  await using tgt = await openTgt()
  const target = await tgt.addTarget()
  for (let lun = 1; lun <= 30; lun++) await target.addLun({ size: MiB })
  {
    await using bed = await openIscsiBed({ portals: tgt.portals })
    expect(bed.pairs.length).toBe(30)
    await expect.poll(() => bed.pairs.every((pair) => states(pair).join() === 'up,up'), patient).toBe(true)
    await Promise.all(bed.pairs.map(({ user }, n) => user.write(0, Buffer.alloc(4096, n))))
    for (const [n, { user }] of bed.pairs.entries()) expect((await user.read(0, 512))[0]).toBe(n)
    expect((await target.sessions()).length).toBe(2)
  }
  // Closed means logged out.
  await expect.poll(() => target.sessions(), patient).toEqual([])
  await using bed = await openIscsiBed({ portals: tgt.portals, sessionPerLun: true })
  await expect.poll(() => bed.pairs.every((pair) => states(pair).join() === 'up,up'), patient).toBe(true)
  await Promise.all(bed.pairs.map(({ user }, n) => user.write(0, Buffer.alloc(4096, n))))
  await expect.poll(async () => (await target.sessions()).length, patient).toBe(60)
})

itWithTgt('two hosts with names of their own do not end each other’s sessions, from the same address', async () => {
  await using tgt = await openTgt()
  const target = await tgt.addTarget()
  await target.addLun()
  const host = (initiator: string): Promise<Awaited<ReturnType<typeof openIscsiBed>>> =>
    openIscsiBed({ portals: tgt.portals, initiator })
  await using one = await host('iqn.2026-11.test:one')
  await using two = await host('iqn.2026-11.test:two')
  await one.pair.user.write(0, Buffer.alloc(4096, 1))
  await two.pair.user.write(4096, Buffer.alloc(4096, 2))
  await one.pair.user.flush()
  expect((await two.pair.user.read(0, 4096))[0]).toBe(1)
  expect((await one.pair.user.read(4096, 4096))[0]).toBe(2)
  await expect.poll(async () => (await target.sessions()).length, patient).toBe(4)
  expect([...one.pair.paths, ...two.pair.paths].map(({ failures }) => failures)).toEqual([0, 0, 0, 0])
})

itWithTgt('a user without rights discovers with the command', async () => {
  await using tgt = await openTgt()
  const target = await tgt.addTarget()
  await target.addLun()
  await using folder = await openFolder()
  const nobody = ['--reuid=65534', '--regid=65534', '--clear-groups', process.execPath, command]
  const url = `iscsi://${tgt.portals[0]}/${target.name}`
  const { code, stdout, stderr } = await run('setpriv', [...nobody, 'discover', '--json', url], { cwd: folder.path })
  expect(code, stderr).toBe(0)
  expect(stdout).toContain(`iscsi:${target.name}/${tgt.portals[0]}/lun1`)
})

it.todo('tgt names only the portal it was asked through: portals that SendTargets adds are not shown with tgt')
it.todo('tgt has no LUN above 255 in flat addressing')
