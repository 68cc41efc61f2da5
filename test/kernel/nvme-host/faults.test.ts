import assert from 'node:assert/strict'
import { test } from 'node:test'
import { until } from '../guest/wait.ts'
import { isOver, load } from '../judges/load.ts'
import { tool } from '../node/tools.ts'
import { openBed, spread } from './bed.ts'

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
