import { get16, get32, put16, put32 } from '@blockbraid/wire'
import type { CommandResult } from './entry.ts'
import { lunWord } from './lun.ts'
import { Attention, Check } from './outcome.ts'
import type { Task } from './task.ts'
import { vitalPage } from './vpd.ts'

/** ASCII of a fixed width, filled with blanks. */
function padded(text: string, width: number): Buffer {
  return Buffer.from(text.padEnd(width).slice(0, width), 'latin1')
}

/** INQUIRY (SPC-4 §6.6), standard data and vital product data. */
export function inquiry(task: Task): CommandResult {
  const { cdb, nexus, session } = task
  const vital = (cdb[1]! & 1) !== 0
  const page = cdb[2]!
  const length = get16(cdb, 3)
  if ((cdb[1]! & 0xfe) !== 0 || (!vital && page !== 0)) return Check.invalidField
  if (vital) {
    if (nexus === null) return Check.noSuchUnit
    const data = vitalPage(page, nexus, session!.host.targetName)
    return data === undefined ? Check.invalidField : data.subarray(0, length)
  }
  const data = Buffer.alloc(96)
  data[2] = 0x06
  data[3] = 0x12
  data[4] = data.length - 5
  if (nexus === null) {
    // Qualifier 3, type 1Fh: nothing is there, and nothing can be.
    data[0] = 0x7f
    data.set(padded('BLKBRAID', 8), 8)
    data.set(padded('', 20), 16)
    return data.subarray(0, length)
  }
  const { unit } = nexus.mapping
  data[5] = session!.host.tpgs << 4
  data[7] = 0x02
  data.set(padded(unit.vendor, 8), 8)
  data.set(padded(unit.product, 16), 16)
  data.set(padded(unit.revision, 4), 32)
  // SAM-5, iSCSI, SPC-4, SBC-3.
  for (const [n, version] of [0x00a0, 0x0960, 0x0460, 0x04c0].entries()) put16(data, 58 + 2 * n, version)
  return data.subarray(0, length)
}

/** REPORT LUNS (SPC-4 §6.33). */
export function reportLuns(task: Task): CommandResult {
  const { cdb, nexus, session } = task
  const select = cdb[2]!
  const length = get32(cdb, 6)
  if (length < 16 || (select > 2 && select !== 0x10 && select !== 0x11)) return Check.invalidField
  nexus?.clear(Attention.lunsChanged)
  const luns = select === 1 ? [] : session!.host.luns(session!.nexuses.keys())
  const data = Buffer.alloc(8 + 8 * luns.length)
  put32(data, 0, 8 * luns.length)
  for (const [n, lun] of luns.entries()) put32(data, 8 + 8 * n, lunWord(lun))
  return data.subarray(0, length)
}
