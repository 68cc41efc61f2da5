import type { ScsiAnswer, ScsiTaker } from '@blockbraid/target-iscsi'
import { sendScsi } from '@blockbraid/target-iscsi'

// PERSISTENT RESERVE OUT service actions and types (SPC-4 §6.16, tables 222 and 212).
export const Register = 0x00
export const Reserve = 0x01
export const Release = 0x02
export const Clear = 0x03
export const Preempt = 0x04
export const PreemptAndAbort = 0x05
export const RegisterAndIgnore = 0x06

export const WriteExclusive = 0x01
export const ExclusiveAccess = 0x03
export const WriteExclusiveRegistrants = 0x05

/** Keys of a command. */
export interface Keys {
  /** Of the one who sends it; 0: none yet. */
  readonly own?: number
  /** What the action is about: the new key, or the key to preempt. */
  readonly other?: number
}

/** Sends PERSISTENT RESERVE OUT. Written out by hand, so that it does not rest on what is tested. */
export async function reserveOut(
  path: ScsiTaker,
  action: number,
  type: number,
  { own = 0, other = 0 }: Keys,
): Promise<ScsiAnswer> {
  const cdb = Buffer.alloc(10)
  cdb.set([0x5f, action, type])
  cdb.writeUInt32BE(24, 5)
  const keys = Buffer.alloc(24)
  keys.writeBigUInt64BE(BigInt(own), 0)
  keys.writeBigUInt64BE(BigInt(other), 8)
  return send(path, cdb, keys)
}

/** Keys that are registered, one for each nexus. */
export async function readKeys(path: ScsiTaker): Promise<number[]> {
  const { data } = await reserveIn(path, 0x00)
  return Array.from({ length: data.readUInt32BE(4) / 8 }, (_, at) => Number(data.readBigUInt64BE(8 + at * 8)))
}

/** Key and type of the reservation; undefined where there is none. */
export async function readReservation(path: ScsiTaker): Promise<{ key: number; type: number } | undefined> {
  const { data } = await reserveIn(path, 0x01)
  if (data.readUInt32BE(4) === 0) return undefined
  return { key: Number(data.readBigUInt64BE(8)), type: data.readUInt8(21) & 0xf }
}

async function reserveIn(path: ScsiTaker, action: number): Promise<{ data: Buffer }> {
  const cdb = Buffer.alloc(10)
  cdb.set([0x5e, action])
  cdb.writeUInt16BE(4096, 7)
  const { status, data } = await send(path, cdb, 4096)
  if (status !== 0) throw new Error(`PERSISTENT RESERVE IN ended with status ${status}`)
  return { data: Buffer.from(data) }
}

/** Sends a command again after a unit attention, which only tells news. */
async function send(path: ScsiTaker, cdb: Uint8Array, data: Uint8Array | number): Promise<ScsiAnswer> {
  for (let tries = 0; ; tries++) {
    const answer = await sendScsi(path, cdb, data)
    if (senseOf(answer)?.key !== 6 || tries === 8) return answer
  }
}

/** Key and code of fixed or descriptor sense data. */
export function senseOf({ status, sense }: ScsiAnswer): { key: number; code: number } | undefined {
  if (status !== 2 || sense.length < 8) return undefined
  const [response = 0, second = 0, third = 0, fourth = 0] = sense
  if ((response & 0x7f) >= 0x72) return { key: second & 0xf, code: third * 256 + fourth }
  return { key: third & 0xf, code: (sense[12] ?? 0) * 256 + (sense[13] ?? 0) }
}
