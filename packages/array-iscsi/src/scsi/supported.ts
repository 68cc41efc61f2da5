import { get16, get32, put16, put32 } from '@blockbraid/wire'
import type { CommandResult } from './entry.ts'
import { Check } from './outcome.ts'

/** Whether a command is served: its opcode, and its service action where it has any. */
type Served = (opcode: number, action: number) => boolean

/** A command timeouts descriptor that names no times (SPC-4 §6.35.4). */
const TIMEOUTS = Buffer.from([0, 10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])

/** Whether an opcode has service actions. */
function hasActions(opcode: number): boolean {
  return opcode === 0x9e || opcode === 0xa3 || opcode === 0xa4 || opcode === 0x5e || opcode === 0x5f
}

function cdbLength(opcode: number): number {
  const group = opcode >> 5
  return group === 0 ? 6 : group === 4 ? 16 : group === 5 ? 12 : 10
}

/** REPORT SUPPORTED OPERATION CODES (SPC-4 §6.35), for all or for one. */
export function reportSupportedOpcodes(cdb: Uint8Array, served: Served): CommandResult {
  const options = cdb[2]! & 7
  const timeouts = (cdb[2]! & 0x80) !== 0
  const length = get32(cdb, 6)
  const [opcode, action] = [cdb[3]!, get16(cdb, 4)]
  if (options > 3) return Check.invalidField
  if (options === 0) return allOpcodes(served, timeouts).subarray(0, length)
  const actions = hasActions(opcode)
  if ((options === 1 && actions) || (options === 2 && !actions)) return Check.invalidField
  const known = served(opcode, actions ? action : 0)
  const size = cdbLength(opcode)
  const data = Buffer.alloc((known ? 4 + size : 4) + (timeouts ? TIMEOUTS.length : 0))
  data[1] = (timeouts ? 0x80 : 0) | (known ? 3 : 1)
  if (known) {
    put16(data, 2, size)
    data.fill(0xff, 4, 4 + size)
    data[4] = opcode
  }
  if (timeouts) data.set(TIMEOUTS, data.length - TIMEOUTS.length)
  return data.subarray(0, length)
}

function allOpcodes(served: Served, timeouts: boolean): Buffer {
  const found: Buffer[] = []
  for (let code = 0; code < 256; code++) {
    for (let action = 0; action < (hasActions(code) ? 32 : 1); action++) {
      if (!served(code, action)) continue
      const one = Buffer.alloc(8)
      one[0] = code
      put16(one, 2, action)
      one[5] = (hasActions(code) ? 1 : 0) | (timeouts ? 2 : 0)
      put16(one, 6, cdbLength(code))
      found.push(timeouts ? Buffer.concat([one, TIMEOUTS]) : one)
    }
  }
  const head = Buffer.alloc(4)
  const list = Buffer.concat(found)
  put32(head, 0, list.length)
  return Buffer.concat([head, list])
}
