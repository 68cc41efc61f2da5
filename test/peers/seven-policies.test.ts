import { readdir } from 'node:fs/promises'
import type { PathSelector } from '@blockbraid/core'
import { failover } from '@blockbraid/policy-failover'
import { latency } from '@blockbraid/policy-latency'
import { queueDepth } from '@blockbraid/policy-queue-depth'
import { roundRobin } from '@blockbraid/policy-round-robin'
import { serviceTime } from '@blockbraid/policy-service-time'
import { stream } from '@blockbraid/policy-stream'
import { weighted } from '@blockbraid/policy-weighted'
import { expect, it } from 'vitest'
import { openBed } from './support/bed.ts'
import { fileChecksum } from './support/data.ts'
import { fioJob, startFio, verifiedMix } from './support/fio.ts'
import { mishapsDuring } from './support/mishaps.ts'
import { seeded } from './support/seed.ts'
import { succeed } from './support/tools.ts'

const policies: readonly (() => PathSelector)[] = [
  () => roundRobin(),
  queueDepth,
  serviceTime,
  latency,
  weighted,
  () => failover(),
  stream,
]
/** Two minutes by `POLICY_SECONDS=120`. */
const SECONDS = Number(process.env['POLICY_SECONDS'] ?? 15)

it(
  'fio verifies without an error while all seven policies are exchanged every 100 ms and paths fail',
  async () => {
    expect((await readdir('packages')).filter((name) => name.startsWith('policy-'))).toHaveLength(policies.length)
    const { random } = seeded()
    await using bed = await openBed({
      array: { volumes: [{ size: '64MiB' }], latency: { base: 100, jitter: 200 }, fenceDelay: 2000 },
    })
    let failures = 0
    bed.pair.events.on('path', ({ state }) => {
      if (state === 'fencing') failures++
    })
    const args = [...verifiedMix, '--size=64M', '--time_based', `--runtime=${SECONDS}`]
    const running = startFio(bed.uri, bed.folder.path, args, (SECONDS + 60) * 1000)
    const seen = new Set<string>()
    let turn = 0
    const exchange = setInterval(() => {
      bed.pair.setSelector(policies[turn++ % policies.length]!)
      seen.add(bed.pair.policy)
    }, 100)
    const { result, history } = await mishapsDuring(running.ended, bed.array, random).finally(() =>
      clearInterval(exchange),
    )
    const told = history.slice(-20).join(', ')
    const job = fioJob(result)
    console.log(
      `${job.writes} writes, ${job.reads} reads, ${job.syncs} flushes, ${turn} exchanges, ${failures} failures`,
    )
    expect(job.writes, told).toBeGreaterThan(500)
    expect(failures, told).toBeGreaterThan(5)
    expect([...seen].toSorted()).toEqual([...new Set(policies.map((create) => create().name))].toSorted())
    expect(bed.pair.policyFaults).toBe(0)
    await expect.poll(() => bed.pair.paths.map(({ state }) => state), { timeout: 20_000 }).toEqual(Array(4).fill('up'))
    const file = bed.folder.at('out')
    await succeed('nbdcopy', [bed.uri, file])
    expect(await fileChecksum(file)).toBe(bed.array.checksum(0))
  },
  (SECONDS + 120) * 1000,
)
