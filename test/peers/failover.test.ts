import { queueDepth } from '@blockbraid/policy-queue-depth'
import { roundRobin } from '@blockbraid/policy-round-robin'
import { expect, it } from 'vitest'
import shortestWait from '../../examples/own-policy/shortest-wait.ts'
import type { Bed } from './support/bed.ts'
import { openBed } from './support/bed.ts'
import { fileChecksum } from './support/data.ts'
import { fioJob, startFio, verifiedMix } from './support/fio.ts'
import { mishapsDuring } from './support/mishaps.ts'
import { seeded } from './support/seed.ts'
import { succeed } from './support/tools.ts'

const policies = [() => roundRobin(), queueDepth, shortestWait, () => roundRobin({ minIos: 8 })]

/** Counts how often paths of the pair leave the state `up`. */
function countFailures(bed: Bed): () => number {
  let failures = 0
  bed.pair.events.on('path', ({ state }) => {
    if (state === 'fencing') failures++
  })
  return () => failures
}

/** Every path takes I/O again, and what the export shows is what the array holds. */
async function expectWell(bed: Bed): Promise<void> {
  await expect.poll(() => bed.pair.paths.map(({ state }) => state), { timeout: 20_000 }).toEqual(Array(4).fill('up'))
  expect(bed.pair.state).toBe('active')
  expect(bed.pair.policyFaults).toBe(0)
  const file = bed.folder.at('out')
  await succeed('nbdcopy', [bed.uri, file])
  expect(await fileChecksum(file)).toBe(bed.array.checksum(0))
}

it('mission row 17: fio reads, writes, verifies and flushes while paths die and come back and the policy changes', async () => {
  const { random } = seeded()
  await using bed = await openBed({
    array: { volumes: [{ size: '64MiB' }], latency: { base: 100, jitter: 200 }, fenceDelay: 2000 },
  })
  const failures = countFailures(bed)
  const args = [...verifiedMix, '--size=64M', '--time_based', '--runtime=8']
  const running = startFio(bed.uri, bed.folder.path, args)
  const seen = new Set<string>()
  const { result, history } = await mishapsDuring(running.ended, bed.array, random, (step) => {
    if (step % 5 === 0) bed.pair.setSelector(policies[(step / 5) % policies.length]!)
    seen.add(bed.pair.policy)
  })
  const job = fioJob(result)
  const told = history.join(', ')
  expect(job.writes, told).toBeGreaterThan(500)
  expect(job.syncs, told).toBeGreaterThan(10)
  expect([...seen].sort()).toEqual(['queue-depth', 'round-robin', 'shortest-wait'])
  // It was no calm run.
  expect(failures(), told).toBeGreaterThan(5)
  await expectWell(bed)
})

it('fio trims what it wrote and verifies, while paths die and come back', async () => {
  const { random } = seeded()
  await using bed = await openBed({ array: { volumes: [{ size: '16MiB' }], latency: { base: 100, jitter: 200 } } })
  const failures = countFailures(bed)
  // NBD keeps no order: fio must not have a trim and a write of one block in flight together.
  const args = ['--rw=randtrimwrite', '--bs=16k', '--iodepth=8', '--size=16M', '--verify=crc32c', '--verify_fatal=1']
  const running = startFio(bed.uri, bed.folder.path, [...args, '--serialize_overlap=1'])
  const { result, history } = await mishapsDuring(running.ended, bed.array, random)
  const job = fioJob(result)
  expect(job.trims, history.join(', ')).toBe(1024)
  expect(job.writes, history.join(', ')).toBe(1024)
  expect(failures(), history.join(', ')).toBeGreaterThan(2)
  await expectWell(bed)
})
