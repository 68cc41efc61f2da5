import { writeFile } from 'node:fs/promises'
import { Errno } from '@blockbraid/core'
import { expect } from 'vitest'
import { openFolder } from './support/bed.ts'
import { ls, startBlockbraid } from './support/cli.ts'
import { fioJob, startFio, verifiedMix } from './support/fio.ts'
import { brisk, openIscsiBed, states } from './support/iscsi-bed.ts'
import { itWithTgt, openTgt } from './support/tgt.ts'

const patient = { timeout: 30_000 }

itWithTgt('tgtd is killed and started again under fio verify: I/O waits and goes on, without an error', async () => {
  await using tgt = await openTgt()
  const target = await tgt.addTarget()
  await target.addLun()
  await using bed = await openIscsiBed({ ...brisk, portals: tgt.portals })
  const load = startFio(bed.uri, bed.folder.path, [...verifiedMix, '--size=48M', '--time_based', '--runtime=10'])
  let running = true
  void load.ended.finally(() => (running = false))
  const ios = (): number => bed.pair.paths.reduce((sum, path) => sum + path.ios, 0)
  let kills = 0
  while (running && kills < 4) {
    const before = ios()
    // It writes and reads again since the last time.
    await expect.poll(() => ios() > before + 200 || !running, patient).toBe(true)
    await tgt.kill()
    kills++
    await expect.poll(() => bed.pair.state, patient).toBe('stalled')
    await tgt.restart()
    await expect.poll(() => bed.pair.state, patient).not.toBe('stalled')
  }
  expect(fioJob(await load.ended).writes).toBeGreaterThan(100)
  expect(kills).toBeGreaterThan(1)
  await expect.poll(() => states(bed.pair), patient).toEqual(['up', 'up'])
})

itWithTgt('a tgtd that hangs is found by the keep-alive; when it goes on, so does fio', async () => {
  await using tgt = await openTgt()
  const target = await tgt.addTarget()
  await target.addLun()
  await using bed = await openIscsiBed({ ...brisk, portals: tgt.portals })
  await expect.poll(() => states(bed.pair), patient).toEqual(['up', 'up'])
  const load = startFio(bed.uri, bed.folder.path, [...verifiedMix, '--size=32M', '--time_based', '--runtime=6'])
  await expect.poll(() => bed.pair.paths[0]!.ios, patient).toBeGreaterThan(100)
  process.kill(tgt.pid, 'SIGSTOP')
  try {
    await expect.poll(() => bed.pair.state, patient).toBe('stalled')
  } finally {
    process.kill(tgt.pid, 'SIGCONT')
  }
  await expect.poll(() => states(bed.pair), patient).toEqual(['up', 'up'])
  expect(fioJob(await load.ended).writes).toBeGreaterThan(100)
})

itWithTgt('a tgtd that stays away: EIO after noPathTimeout, and all is well when it is back', async () => {
  await using tgt = await openTgt()
  const target = await tgt.addTarget()
  await target.addLun()
  await using bed = await openIscsiBed({
    ...brisk,
    portals: tgt.portals,
    multipath: { noPathTimeout: 1000, reconnectDelay: 50 },
  })
  const { user } = bed.pair
  await user.write(0, Buffer.alloc(4096, 1))
  await tgt.kill()
  await expect(user.write(0, Buffer.alloc(4096, 2))).rejects.toMatchObject({ errno: Errno.EIO })
  await expect(user.read(0, 4096)).rejects.toMatchObject({ errno: Errno.EIO })
  await tgt.restart()
  await expect.poll(() => states(bed.pair), patient).toEqual(['up', 'up'])
  await user.write(0, Buffer.alloc(4096, 3))
  expect((await user.read(0, 4096))[4095]).toBe(3)
})

itWithTgt('what a process that hangs has left at the target ends with the first login of the next one', async () => {
  await using tgt = await openTgt()
  const target = await tgt.addTarget()
  await target.addLun()
  await using folder = await openFolder()
  const initiator = 'iqn.2026-11.test:host'
  const control = folder.at('control.sock')
  await writeFile(
    folder.at('config.yaml'),
    `control: ${control}
targets:
  - { use: iscsi, portals: [${tgt.portals.map((portal) => `"${portal}"`).join(', ')}], initiator: "${initiator}" }
devices:
  - { volume: "*", name: disk, transport: { use: nbd, socket: ${folder.at('nbd.sock')} } }
`,
  )
  const first = startBlockbraid(folder.path, 'up', folder.at('config.yaml'))
  const up = async (): Promise<number> => {
    const { pairs } = await ls(folder.path, control)
    return pairs.flatMap(({ paths }) => paths).filter(({ state }) => state === 'up').length
  }
  await expect.poll(() => up().catch(() => 0), patient).toBe(2)
  const before = await target.sessions()
  expect(before.length).toBe(2)
  first.kill('SIGSTOP')
  await using bed = await openIscsiBed({ ...brisk, portals: tgt.portals, initiator })
  await expect.poll(() => states(bed.pair), patient).toEqual(['up', 'up'])
  const after = await target.sessions()
  expect(after.length).toBe(2)
  expect(after.filter((session) => before.includes(session))).toEqual([])
  first.kill('SIGKILL')
  await first.ended
})
