import { createChaosProxy, randomInt } from '@blockbraid/testkit'
import { expect } from 'vitest'
import { fioJob, startFio, verifiedMix } from './support/fio.ts'
import { brisk, openIscsiBed, states } from './support/iscsi-bed.ts'
import { seeded } from './support/seed.ts'
import { itWithTgt, openTgt } from './support/tgt.ts'

const patient = { timeout: 20_000 }

itWithTgt.each(['up', 'down'] as const)(
  'bytes that change on the way (%s) are found by the digests: the path is given up, and fio verifies on',
  async (direction) => {
    const { random } = seeded()
    await using tgt = await openTgt()
    const digests = { HeaderDigest: 'CRC32C', DataDigest: 'CRC32C' }
    const target = await tgt.addTarget({ params: { ...digests, InitialR2T: false, MaxRecvDataSegmentLength: 65_536 } })
    await target.addLun()
    const [host = '', port = ''] = tgt.portals[0].split(':')
    await using proxy = await createChaosProxy({ to: { host, port: Number(port) } })
    await using bed = await openIscsiBed({
      ...brisk,
      portals: [proxy.address, tgt.portals[1]],
      toldPortals: false,
      target: target.name,
      headerDigest: 'prefer',
      dataDigest: 'prefer',
    })
    await expect.poll(() => states(bed.pair), patient).toEqual(['up', 'up'])
    const load = startFio(bed.uri, bed.folder.path, [...verifiedMix, '--size=32M', '--time_based', '--runtime=5'])
    let running = true
    void load.ended.finally(() => (running = false))
    const failures = (): number => bed.pair.paths.find(({ address }) => address === proxy.address)!.failures
    while (running) {
      const before = failures()
      proxy.corruptAt(randomInt(random, 100_000), direction)
      await expect.poll(() => !running || failures() > before, patient).toBe(true)
      await expect.poll(() => !running || states(bed.pair).join() === 'up,up', patient).toBe(true)
    }
    const { writes } = fioJob(await load.ended)
    expect(writes).toBeGreaterThan(50)
    expect(failures()).toBeGreaterThan(3)
    // The other path met nothing.
    expect(bed.pair.paths.map(({ address, failures: count }) => address === proxy.address || count === 0)).toEqual([
      true,
      true,
    ])
  },
)
