import type { UserDevice } from '@blockbraid/core'
import { parseData, toHex } from '../text/hex.ts'
import type { Arguments } from './protocol.ts'

/** What an NVMe command was answered; bytes are hex digits. */
export interface NvmeResult {
  /** Status field without the phase: SC in bits 7:0, SCT 10:8, CRD 12:11, M 13, DNR 14; 0: success. */
  readonly status: number
  /** Dword 0 of the completion. */
  readonly result: number
  /** Dword 1. */
  readonly resultHigh: number
  /** What was received. */
  readonly data: string
}

/** Sends the NVMe command of a request; throws a TypeError that names a wrong field. */
export async function sendNvme(
  device: UserDevice,
  { queue, opcode, nsid, dwords, in: receive, out, path }: Arguments<'nvme'>,
): Promise<NvmeResult> {
  if (queue !== 'admin' && queue !== 'io')
    throw new TypeError(`queue is "${queue.slice(0, 40)}"; it must be admin or io`)
  const words = (dwords ?? '').split(' ').filter((word) => word !== '')
  if (words.length > 6) throw new TypeError(`dwords has ${words.length} numbers; there are 6, of dwords 10 to 15`)
  const [cdw10 = 0, cdw11 = 0, cdw12 = 0, cdw13 = 0, cdw14 = 0, cdw15 = 0] = words.map((word) => whole('dwords', word))
  const command = {
    admin: queue === 'admin',
    opcode: whole('opcode', opcode),
    nsid: whole('nsid', nsid ?? '0'),
    ...{ cdw10, cdw11, cdw12, cdw13, cdw14, cdw15 },
  }
  // Whoever has paths that take NVMe commands has it in memory; others need not.
  const { sendNvme: send } = await import('@blockbraid/target-nvmeof')
  const options = path === undefined ? {} : { path }
  const { status, result, resultHigh, data } = await send(device, command, parseData(receive, out), options)
  return { status, result, resultHigh, data: toHex(data) }
}

function whole(field: string, text: string): number {
  const value = /^\d{1,10}$/.test(text) ? Number(text) : Number.NaN
  if (value <= 0xffff_ffff) return value
  throw new TypeError(`${field} is "${text.slice(0, 40)}"; it must be a number below 2 ** 32`)
}
