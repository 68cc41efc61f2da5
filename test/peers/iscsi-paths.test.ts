import { expect } from 'vitest'
import { fio, fioJob, startFio, verifiedMix } from './support/fio.ts'
import { openIscsiBed, states } from './support/iscsi-bed.ts'
import { openTap } from './support/tap.ts'
import { itWithTgt, openTgt } from './support/tgt.ts'

const patient = { timeout: 20_000 }

itWithTgt('two portals are two paths of one device, and both work', async () => {
  await using tgt = await openTgt()
  const target = await tgt.addTarget()
  await target.addLun()
  await using bed = await openIscsiBed({ portals: tgt.portals })
  await expect.poll(() => states(bed.pair), patient).toEqual(['up', 'up'])
  const job = await fio(bed.uri, bed.folder.path, [...verifiedMix, '--size=16M'])
  const ios = bed.pair.paths.map((path) => path.ios)
  for (const count of ios) expect(count).toBeGreaterThan((job.reads + job.writes) / 4)
  expect(bed.pair.paths.map(({ address }) => address).sort()).toEqual([...tgt.portals].sort())
  expect((await target.sessions()).length).toBe(2)
})

itWithTgt('connections that the target cuts under fio verify come back, without an error', async () => {
  await using tgt = await openTgt()
  const target = await tgt.addTarget()
  await target.addLun()
  await using bed = await openIscsiBed({ portals: tgt.portals })
  await expect.poll(() => states(bed.pair), patient).toEqual(['up', 'up'])
  const load = startFio(bed.uri, bed.folder.path, [...verifiedMix, '--size=32M', '--time_based', '--runtime=4'])
  let running = true
  void load.ended.finally(() => (running = false))
  let kicks = 0
  while (running) {
    const [session] = await target.sessions()
    if (session !== undefined) {
      await target.kick(session)
      kicks++
    }
    await expect.poll(() => !running || states(bed.pair).join() === 'up,up', patient).toBe(true)
  }
  expect(fioJob(await load.ended).writes).toBeGreaterThan(100)
  expect(kicks).toBeGreaterThan(3)
  const failures = bed.pair.paths.reduce((sum, path) => sum + path.failures, 0)
  expect(failures).toBeGreaterThan(3)
})

itWithTgt('a target that pings is answered: idle sessions live', async () => {
  await using tgt = await openTgt({ nop: { interval: 1, count: 2 } })
  const target = await tgt.addTarget()
  await target.addLun()
  await using tap = await openTap(tgt.portals[0])
  await using bed = await openIscsiBed({
    portals: [tap.portal],
    toldPortals: false,
    target: target.name,
    // Nothing else may keep it alive.
    keepAliveInterval: 0,
    pollInterval: 600_000,
  })
  const sessions = await target.sessions()
  await expect.poll(() => tap.seen.nopIns, patient).toBeGreaterThan(3)
  expect(await target.sessions()).toEqual(sessions)
  expect(bed.pair.paths.map(({ failures }) => failures)).toEqual([0])
})

itWithTgt('a target that has moved is followed', async () => {
  await using old = await openTgt()
  await using now = await openTgt()
  const there = await now.addTarget()
  const here = await old.addTarget({ name: there.name })
  await here.addLun()
  await there.addLun()
  const [host = '', port = ''] = now.portals[1].split(':')
  await here.set({ RedirectAddress: host, RedirectPort: port, RedirectReason: 'Temporary' })
  await using bed = await openIscsiBed({ portals: [old.portals[0]], target: there.name })
  await bed.pair.user.write(0, Buffer.alloc(4096, 1))
  expect((await there.sessions()).length).toBe(1)
  expect(await here.sessions()).toEqual([])
})

itWithTgt('a target that sends everybody in a circle is given up', async () => {
  await using tgt = await openTgt()
  const target = await tgt.addTarget()
  await target.addLun()
  const [host = '', port = ''] = tgt.portals[1].split(':')
  await target.set({ RedirectAddress: host, RedirectPort: port, RedirectReason: 'Permanent' })
  const bed = openIscsiBed({ portals: [tgt.portals[0]], target: target.name })
  await expect(bed).rejects.toThrow(/redirect/i)
})

itWithTgt('sessions start at the address of this host that is asked for', async () => {
  await using tgt = await openTgt()
  const target = await tgt.addTarget()
  await target.addLun()
  await using bed = await openIscsiBed({ portals: [tgt.portals[0]], localAddress: '127.0.0.77' })
  await bed.pair.user.read(0, 4096)
  expect(await tgt.adm('--op', 'show', '--mode', 'target')).toMatch(/IP Address: 127\.0\.0\.77/)
})
