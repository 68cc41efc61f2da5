import type { CommandRule } from '@blockbraid/array-iscsi'
import { IoOp, OK } from '@blockbraid/core'
import { describe, expect, test } from 'vitest'
import type { StatusRow } from '../../src/scsi/status.ts'
import { Action, judge, ScsiStatus, statusTable } from '../../src/scsi/status.ts'
import type { Bed } from './bed.ts'
import { BLOCK, bed, fastHost, run } from './bed.ts'

const READ = 0x28
const WRITE = 0x2a
// Codes that no row names.
const OTHER = 0x7f
const BHS = 48

const rows = statusTable.map((row, number) => ({ number, row, text: row.verdict.text }))

/** What the array answers so that this row fits. */
function rule(row: StatusRow, opcode: number): CommandRule {
  const { status = 0x22, key = 0xf, asc = OTHER, ascq = OTHER } = row
  const sense = status === ScsiStatus.CheckCondition && key !== 'none' ? (key << 16) | (asc << 8) | ascq : 0
  return { opcode, status, sense }
}

/** Makes of the sense data of an answer what the array has no word for. */
function bend({ array }: Bed, row: StatusRow): void {
  const bare = row.key === 'none'
  if (!bare && row.deferred !== true) return
  array.faults.wire({
    pdu: 'scsiResponse',
    replace(pdu) {
      if (pdu[3] !== ScsiStatus.CheckCondition || (pdu[BHS + 4]! & 0x0f) === 6) return [pdu]
      const copy = Buffer.from(pdu)
      if (bare) {
        copy.fill(0, 5, 8)
        return [copy.subarray(0, BHS)]
      }
      copy[BHS + 2] = 0x71
      return [copy]
    },
  })
}

function sends(row: StatusRow): number {
  const { action } = row.verdict
  return action === Action.None ? 1 : action === Action.Retry ? 6 : 9
}

const transfers = { read: [READ, IoOp.Read], write: [WRITE, IoOp.Write] } as const

describe.each(['read', 'write'] as const)('a %s that the array answers with', (what) => {
  const [opcode, op] = transfers[what]
  const io = () => ({ op, buffers: [Buffer.alloc(BLOCK)] })

  test.each(rows)('row $number, $text', async ({ row }) => {
    const made = await bed({ host: fastHost(20), initiator: { taskTimeout: 60_000, loginTimeout: 60_000 } })
    const { array } = made
    const path = await made.open()
    expect(await run(path, io())).toBe(OK)
    bend(made, row)
    const before = array.counters.commands[opcode] ?? 0
    const fault = array.faults.command(rule(row, opcode))
    // A good status is the array's own work.
    const good = row.status === ScsiStatus.Good
    const short = row.verdict.status === OK && !good && op === IoOp.Read
    const status = await run(path, io())
    // As good, but without the data: the read has failed.
    if (short) expect(status).not.toBe(OK)
    else if (row.verdict.status === OK && !good) expect([OK, 5]).toContain(status)
    else expect(status).toBe(row.verdict.status)
    expect((array.counters.commands[opcode] ?? 0) - before).toBe(sends(row))
    fault.remove()
    array.faults.heal()
    expect(await run(path, io())).toBe(OK)

    // Once only: what is sent again succeeds.
    if (row.verdict.action === Action.None) return
    bend(made, row)
    array.faults.command({ ...rule(row, opcode), count: 1 })
    expect(await run(path, io())).toBe(OK)
    expect(array.violations).toEqual([])
  })
})

test('every row is found by what the test above sends', () => {
  for (const { row } of rows) {
    const { status = 0x22, key = 0xf, asc = OTHER, ascq = OTHER, deferred = false } = row
    const sense =
      key === 'none' || status !== ScsiStatus.CheckCondition
        ? undefined
        : { key, asc, ascq, deferred, valid: false, information: undefined }
    expect(judge(status, sense as Parameters<typeof judge>[1])).toBe(row.verdict)
  }
})
