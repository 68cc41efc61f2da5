import { roundRobin } from '@blockbraid/policy-round-robin'
import { nbd } from '@blockbraid/transport-nbd'
import { expect, it } from 'vitest'
import { openBed, quick } from './support/bed.ts'
import { fileChecksum } from './support/data.ts'
import { fio, startFio, verifiedMix } from './support/fio.ts'
import { succeed } from './support/tools.ts'

it('four fio processes on one volume, by unix socket and by TCP, each verify their own part', async () => {
  await using bed = await openBed({ array: { volumes: [{ size: '64MiB' }] } })
  const tcp = await bed.agent.pair({
    name: 'tcp',
    device: bed.array.volumes[0]!.id,
    selector: () => roundRobin({ minIos: 4 }),
    multipath: quick,
    transport: nbd({ host: '127.0.0.1', port: 0 }),
  })
  const uris = [bed.uri, tcp.kernel.node, bed.uri, tcp.kernel.node]
  const jobs = await Promise.all(
    uris.map((uri, n) => fio(uri, bed.folder.path, [...verifiedMix, '--size=16M', `--offset=${16 * n}M`, '--loops=2'])),
  )
  for (const { writes, reads } of jobs) {
    expect(writes).toBeGreaterThan(100)
    expect(reads).toBeGreaterThan(writes)
  }
  // Both exports show the same bytes.
  for (const uri of [bed.uri, tcp.kernel.node]) {
    const file = bed.folder.at('out')
    await succeed('nbdcopy', [uri, file])
    expect(await fileChecksum(file)).toBe(bed.array.checksum(0))
  }
})

it('a client killed in the middle leaves nothing in flight, and the others verify', async () => {
  await using bed = await openBed({ array: { volumes: [{ size: '64MiB' }], latency: { base: 100, jitter: 100 } } })
  const args = [...verifiedMix, '--size=32M', '--time_based', '--runtime=3']
  const other = fio(bed.uri, bed.folder.path, args)
  for (let round = 0; round < 3; round++) {
    const ios = bed.pair.paths.reduce((sum, path) => sum + path.ios, 0)
    const victim = startFio(bed.uri, bed.folder.path, [
      '--rw=randwrite',
      '--bs=16k',
      '--iodepth=32',
      '--size=32M',
      '--offset=32M',
      '--time_based',
      '--runtime=60',
    ])
    await expect
      .poll(() => bed.pair.paths.reduce((sum, path) => sum + path.ios, 0), { timeout: 20_000 })
      .toBeGreaterThan(ios + 500)
    victim.kill('SIGKILL')
    expect((await victim.ended).code).toBeNull()
  }
  expect((await other).writes).toBeGreaterThan(500)
  await expect.poll(() => bed.pair.paths.map(({ inflight }) => inflight), { timeout: 20_000 }).toEqual([0, 0, 0, 0])
  expect(bed.pair.paths.map(({ errors }) => errors)).toEqual([0, 0, 0, 0])
})
