import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { until } from '../guest/wait.ts'
import type { Running } from '../node/tools.ts'
import { fio, mount, tool } from '../node/tools.ts'
import type { Bed } from './bed.ts'
import { openBed, PORTALS, spread } from './bed.ts'
import { isOver, load } from './load.ts'
import { controllersOf } from './nvme-cli.ts'

test('native multipath sees every ANA state, and its change, at once', async () => {
  await using bed = await openBed()
  assert.deepEqual(bed.access(), ['optimized', 'optimized'])
  for (const [access, word] of [
    ['non-optimized', 'non-optimized'],
    ['standby', 'inaccessible'],
    ['unavailable', 'persistent-loss'],
    ['transitioning', 'change'],
    ['optimized', 'optimized'],
  ] as const) {
    bed.storage.setAccess(0, { port: 1 }, access)
    await until(`the kernel knows that the path is ${access}`, () => bed.access().join() === `optimized,${word}`)
  }
  assert.deepEqual(bed.array.violations, [])
})

test('fio verify goes on while the array moves a volume from port to port', async () => {
  await using bed = await openBed()
  const work = load(bed.node())
  let at = 0
  while (!(await isOver(work))) {
    const [better, worse] = [at % 2, 1 - (at % 2)]
    const word = at % 4 < 2 ? 'non-optimized' : 'inaccessible'
    bed.storage.setAccess(0, { port: better }, 'optimized')
    bed.storage.setAccess(0, { port: worse }, at % 4 < 2 ? 'non-optimized' : 'standby')
    await until('the kernel knows it', () => bed.access()[better] === 'optimized' && bed.access()[worse] === word)
    at++
  }
  await work.done
  assert.ok(at > 1, 'it hardly moved')
  assert.deepEqual(bed.array.violations, [])
})

test('round robin uses both ports', async () => {
  await using bed = await openBed({ array: { log: true } })
  spread(bed)
  await load(bed.node(), { size: '4m' }).done
  const ports = bed.array.log.filter(({ queue }) => queue > 0).map(({ port }) => port)
  for (const port of [0, 1]) assert.ok(ports.filter((each) => each === port).length > ports.length / 4)
  assert.deepEqual(bed.array.violations, [])
})

for (const [name, die, live] of [
  ['are shut and refuse', (bed, at) => bed.array.ports[at]!.down(), (bed, at) => bed.array.ports[at]!.up()],
  ['reset their connections', (bed, at) => bed.array.ports[at]!.reset(), () => {}],
  [
    'fall silent',
    (bed, at) => bed.array.ports[at]!.blackhole(true),
    (bed, at) => bed.array.ports[at]!.blackhole(false),
  ],
] as [string, (bed: Bed, at: number) => unknown, (bed: Bed, at: number) => unknown][]) {
  test(`fio verify on a filesystem goes on while ports ${name}, in turn`, async () => {
    await using bed = await openBed({
      storage: { volumes: [{ size: '64MiB' }], latency: { base: 300, jitter: 300 } },
      connect: { 'keep-alive-tmo': 3 },
    })
    spread(bed)
    await tool('mkfs.ext4', '-q', bed.node())
    let turns = 0
    {
      await using mounted = await mount(bed.node())
      const work = files(mounted.folder)
      while (!(await isOver(work))) {
        const at = turns % 2
        const { controllers } = bed.array.counters
        await die(bed, at)
        await until('the kernel has lost the path, or has it again', async () => {
          if (bed.array.counters.controllers > controllers || (await isOver(work, 20))) return true
          return bed.controller(PORTALS[at]!).state !== 'live'
        })
        await live(bed, at)
        await bed.allLive()
        turns++
      }
      await work.done
    }
    assert.ok(turns > 1, `the ports died ${turns} times`)
    await tool('e2fsck', '-fn', bed.node())
    assert.deepEqual(bed.array.violations, [])
  })
}

test('both ports are gone for a while: the host waits, and nothing fails', async () => {
  await using bed = await openBed()
  const work = load(bed.node())
  await sleep(500)
  await Promise.all(bed.array.ports.map((port) => port.down()))
  await until('no path is left', () => controllersOf(bed.array.name).every(({ state }) => state !== 'live'))
  assert.equal(await isOver(work), false)
  await Promise.all(bed.array.ports.map((port) => port.up()))
  await work.done
  await bed.allLive()
})

test('controllers that fail, end or lose a queue under load come back, and every byte is right', async () => {
  await using bed = await openBed({ connect: { 'hdr-digest': true, 'data-digest': true } })
  spread(bed)
  const work = load(bed.node())
  let turns = 0
  while (!(await isOver(work))) {
    const { controllers } = bed.array.counters
    const victim = bed.array.controllers.filter(({ discovery }) => !discovery)[0]
    if (turns % 3 === 0) victim?.reset(1)
    else if (turns % 3 === 1) victim?.cut()
    else bed.array.faults.wire({ pdu: 'c2hData', admin: false, count: 1, corrupt: -1 })
    await until(
      'the kernel has connected again',
      async () => bed.array.counters.controllers > controllers || (await isOver(work, 20)),
    )
    await bed.allLive()
    turns++
  }
  await work.done
  assert.ok(turns > 1)
})

test('what is not ready, or interrupted, is tried again, and an unreadable block is an error', async () => {
  await using bed = await openBed()
  const { faults } = bed.array
  // Namespace not ready; command interrupted, with the longest delay.
  faults.command({ opcode: 1, status: 0x0082, rate: 0.02 })
  const interrupted = faults.command({ opcode: 1, status: 0x0021, rate: 0.02, retryDelay: 1 })
  await load(bed.node()).done
  assert.ok(interrupted.hits > 0)
  const unreadable = faults.command({ opcode: 2, status: 0x0281, doNotRetry: true })
  await assert.rejects(tool('dd', `if=${bed.node()}`, 'of=/dev/null', 'iflag=direct', 'bs=4k', 'count=1'))
  unreadable.remove()
  await tool('dd', `if=${bed.node()}`, 'of=/dev/null', 'iflag=direct', 'bs=4k', 'count=1')
  assert.deepEqual(bed.array.violations, [])
})

/** Writes and verifies files, direct and buffered. */
function files(directory: string): Running {
  const shared = { directory, verify: 'crc32c', rw: 'randwrite', size: '6m' }
  return fio(shared, {
    direct: { bs: '4k', direct: 1, ioengine: 'libaio', iodepth: 8 },
    buffered: { bs: '16k', fsync: 8 },
  })
}
