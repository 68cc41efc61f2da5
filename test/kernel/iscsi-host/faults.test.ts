import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { until } from '../guest/wait.ts'
import { isOver, load } from '../judges/load.ts'
import { readDirect, writeDirect } from '../node/tools.ts'
import { openBed, PORTALS } from './bed.ts'

const WRITE_10 = 0x2a
const READ_10 = 0x28

test('BUSY, TASK SET FULL and aborted commands are retried by the kernel: fio verify sees nothing of them', async () => {
  await using bed = await openBed()
  bed.array.faults.command({ opcode: WRITE_10, status: 0x08, rate: 0.05 })
  bed.array.faults.command({ opcode: WRITE_10, status: 0x28, rate: 0.05 })
  bed.array.faults.command({ opcode: WRITE_10, status: 2, sense: 0x0b_0000, rate: 0.05 })
  const early = bed.array.faults.command({ opcode: WRITE_10, status: 0x08, rate: 0.05, early: true })
  await load(bed.map).done
  assert.ok(early.hits > 0)
  assert.deepEqual(bed.array.violations, [])
})

test('a medium error reaches the application, an unreadable block alone', async () => {
  await using bed = await openBed()
  const fault = bed.array.faults.command({ opcode: READ_10, status: 2, sense: 0x03_1100 })
  // ENODATA is what the kernel makes of a medium error.
  assert.equal(await readDirect(bed.map, 8192, 4096), 'No data available')
  fault.remove()
  assert.equal(await readDirect(bed.map, 8192, 4096), 'done')
})

test('an answer that is lost: the kernel aborts the command and sends it again', async () => {
  await using bed = await openBed()
  for (const portal of PORTALS) writeFileSync(`/sys/block/${bed.disk(portal)}/device/timeout`, '3')
  const lost = bed.array.faults.wire({ pdu: 'scsiResponse', count: 1, drop: true })
  assert.equal(await writeDirect(bed.map, 0, 4096), 'done')
  assert.equal(lost.hits, 1)
  assert.ok(bed.array.counters.taskManagement > 0, 'nothing was aborted')
  assert.deepEqual(bed.array.violations, [])
})

test('task management is refused: the kernel resets the target or logs in again, and goes on', async () => {
  await using bed = await openBed()
  for (const portal of PORTALS) writeFileSync(`/sys/block/${bed.disk(portal)}/device/timeout`, '3')
  bed.array.faults.taskManagement({ response: 5 })
  const lost = bed.array.faults.wire({ pdu: 'scsiResponse', count: 1, drop: true })
  assert.equal(await writeDirect(bed.map, 0, 4096), 'done')
  assert.equal(lost.hits, 1)
})

test('damaged data and cut connections: digests and logins keep every byte right', async () => {
  await using bed = await openBed({
    settings: { 'node.conn[0].iscsi.HeaderDigest': 'CRC32C', 'node.conn[0].iscsi.DataDigest': 'CRC32C' },
  })
  const work = load(bed.map)
  let turns = 0
  while (turns < 6 && !(await isOver(work, 200))) {
    const portal = turns % 2
    const { logins } = bed.array.counters
    // Of the data digest, so that a header is never misread.
    const harm = turns % 3 === 0 ? { corrupt: -1 } : { cut: 20 * (turns % 3), reset: turns % 3 === 1 }
    bed.array.faults.wire({ pdu: ['dataIn', 'scsiResponse'], portal, count: 1, ...harm })
    await until(
      'the kernel has logged in again',
      async () => bed.array.counters.logins > logins || (await isOver(work, 20)),
    )
    turns++
  }
  await work.done
  assert.ok(turns > 1)
})
