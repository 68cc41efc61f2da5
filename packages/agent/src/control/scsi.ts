import type { UserDevice } from '@blockbraid/core'
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

/** Bytes; what a reply has room for twice, as hex digits. */
const MAX_RECEIVED = 16 * 1024 * 1024

/** Sends the SCSI command of a request; throws a TypeError that names a wrong field. */
export async function sendScsi(
  device: UserDevice,
  { cdb, in: receive, out, path }: Arguments<'scsi'>,
): Promise<ScsiResult> {
  if (receive !== undefined && out !== undefined) throw new TypeError('in and out: a command has one of them only')
  const data = out === undefined ? parseCount(receive ?? '0') : parseHex('out', out)
  const command = parseHex('cdb', cdb)
  // Whoever has paths that take SCSI commands has it in memory; others need not.
  const { sendScsi: send } = await import('@blockbraid/target-iscsi')
  const answer = await send(device, command, data, path === undefined ? {} : { path })
  const { status, residual } = answer
  return { status, sense: toHex(answer.sense), data: toHex(answer.data), residual }
}

/** Hex digits of bytes. */
export function toHex({ buffer, byteOffset, length }: Uint8Array): string {
  return Buffer.from(buffer, byteOffset, length).toString('hex')
}

/** The bytes of hex digits, two each; throws a TypeError that names the field. */
export function parseHex(field: string, text: string): Uint8Array {
  if (text.length % 2 !== 0 || !/^[0-9a-f]*$/i.test(text)) {
    throw new TypeError(`${field} is "${shown(text)}"; it must be hex digits, two for each byte`)
  }
  return new Uint8Array(Buffer.from(text, 'hex'))
}

/** A number of bytes to receive; throws a TypeError. */
export function parseCount(text: string): number {
  const count = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN
  if (count <= MAX_RECEIVED) return count
  throw new TypeError(`in is "${shown(text)}"; it must be a number of bytes, at most ${MAX_RECEIVED}`)
}

function shown(text: string): string {
  return text.length > 40 ? `${text.slice(0, 37)}...` : text
}
