import { get16, put16, put32, put64 } from '@blockbraid/wire'
import type { CommandResult } from './entry.ts'
import type { Nexus } from './nexus.ts'
import { Check, encodeSense, GOOD } from './outcome.ts'
import type { Task } from './task.ts'

/** Caching and control mode pages (SBC-4 §6.5.6, SPC-4 §7.5.8). */
function pageOf(page: number, nexus: Nexus, changeable: boolean): Buffer | undefined {
  const data = Buffer.alloc(page === 0x08 ? 20 : 12)
  data[0] = page
  data[1] = data.length - 2
  if (changeable) return data
  if (page === 0x08) data[2] = nexus.limits.writeCache ? 0x04 : 0
  else data[2] = nexus.mapping.unit.descriptorSense ? 0x04 : 0
  return data
}

/** MODE SENSE 6 and 10 (SPC-4 §6.11). */
export function modeSense(task: Task): CommandResult {
  const { cdb, opcode } = task
  const nexus = task.nexus!
  const { limits } = nexus
  const wide = opcode === 0x5a
  const control = cdb[2]! >> 6
  const page = cdb[2]! & 0x3f
  if (control === 3) return Check.invalidField
  if ((page !== 0x08 && page !== 0x0a && page !== 0x3f) || (cdb[3] !== 0 && cdb[3] !== 0xff)) return Check.invalidField
  const pages = (page === 0x3f ? [0x08, 0x0a] : [page]).map((one) => pageOf(one, nexus, control === 1)!)
  const plain = (cdb[1]! & 0x08) !== 0
  const long = wide && (cdb[1]! & 0x10) !== 0
  const descriptor = Buffer.alloc(plain ? 0 : long ? 16 : 8)
  const blocks = limits.size / limits.blockSize
  if (long) {
    put64(descriptor, 0, blocks)
    put32(descriptor, 12, limits.blockSize)
  } else if (!plain) {
    put32(descriptor, 0, Math.min(blocks, 0xffff_ffff))
    put32(descriptor, 4, limits.blockSize)
  }
  const body = Buffer.concat([descriptor, ...pages])
  const specific = (limits.readOnly ? 0x80 : 0) | (limits.fua ? 0x10 : 0)
  const head = Buffer.alloc(wide ? 8 : 4)
  if (wide) {
    put16(head, 0, 6 + body.length)
    head[3] = specific
    head[4] = descriptor.length === 16 ? 1 : 0
    put16(head, 6, descriptor.length)
  } else {
    head[0] = 3 + body.length
    head[2] = specific
    head[3] = descriptor.length
  }
  const length = wide ? get16(cdb, 7) : cdb[4]!
  return Buffer.concat([head, body]).subarray(0, length)
}

/** REQUEST SENSE (SPC-4 §6.39): the pending unit attention, or that there is none. */
export function requestSense(task: Task): CommandResult {
  const { cdb, nexus } = task
  const outcome = nexus === null ? Check.noSuchUnit : nexus.attentive ? nexus.tell() : GOOD
  return encodeSense(outcome, (cdb[1]! & 1) !== 0).subarray(0, cdb[4]!)
}
