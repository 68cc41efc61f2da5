import type { UserDevice } from '@blockbraid/core'
import { parseData, parseHex, toHex } from '../text/hex.ts'
import type { Arguments } from './protocol.ts'

/** What a SCSI command was answered; bytes are hex digits. */
export interface ScsiResult {
  /** Status byte; 0 is GOOD. */
  readonly status: number
  /** Sense data; an empty text where there is none. */
  readonly sense: string
  /** What was received. */
  readonly data: string
  /** Bytes asked for or offered that were not transferred. */
  readonly residual: number
}

/** Sends the SCSI command of a request; throws a TypeError that names a wrong field. */
export async function sendScsi(
  device: UserDevice,
  { cdb, in: receive, out, path }: Arguments<'scsi'>,
): Promise<ScsiResult> {
  const data = parseData(receive, out)
  const command = parseHex('cdb', cdb)
  // Whoever has paths that take SCSI commands has it in memory; others need not.
  const { sendScsi: send } = await import('@blockbraid/target-iscsi')
  const answer = await send(device, command, data, path === undefined ? {} : { path })
  const { status, residual } = answer
  return { status, sense: toHex(answer.sense), data: toHex(answer.data), residual }
}
