import type { ErrorCode } from '@blockbraid/core'
import { BlockError } from '@blockbraid/core'
import { Magic, Reply, uint32 } from './protocol.ts'
import type { SocketReader } from './socket-reader.ts'

/** A reply to an option of the handshake. */
export interface OptionReply {
  readonly type: number
  readonly data: Buffer
}

const MAX_REPLY = 64 * 1024
const MAX_REPLIES = 65_536

const codes = new Map<number, ErrorCode>([
  [Reply.unsupported, 'NOT_SUPPORTED'],
  [Reply.policy, 'DENIED'],
  [Reply.tlsRequired, 'DENIED'],
  [Reply.unknown, 'NOT_FOUND'],
  [Reply.shutdown, 'CLOSED'],
  [Reply.blockSizeRequired, 'NOT_SUPPORTED'],
])

/** An option with its data, as it goes over the wire. */
export function optionBytes(option: number, data: Uint8Array = Buffer.alloc(0)): Buffer {
  const message = Buffer.alloc(16 + data.length)
  message.writeBigUInt64BE(Magic.option, 0)
  message.writeUInt32BE(option, 8)
  message.writeUInt32BE(data.length, 12)
  message.set(data, 16)
  return message
}

/** A text with its length before it. */
export function sizedText(text: string): Buffer {
  const bytes = Buffer.from(text)
  const message = Buffer.alloc(4 + bytes.length)
  message.writeUInt32BE(bytes.length, 0)
  message.set(bytes, 4)
  return message
}

/** Reads the replies to `option` up to the last one, which is ACK or an error. */
export async function readReplies(reader: SocketReader, option: number): Promise<OptionReply[]> {
  const replies: OptionReply[] = []
  for (;;) {
    const header = await reader.read(20)
    const echoed = uint32(header, 8)
    if (header.readBigUInt64BE(0) !== Magic.optionReply || echoed !== option) {
      throw new BlockError('PROTOCOL', `NBD: wanted a reply to option ${option}, found ${header.toString('hex')}`)
    }
    const type = uint32(header, 12)
    const length = uint32(header, 16)
    if (length > MAX_REPLY) throw new BlockError('PROTOCOL', `NBD: a reply of ${length} bytes to option ${option}`)
    replies.push({ type, data: Buffer.from(await reader.read(length)) })
    if (type === Reply.ack || type >= Reply.errors) return replies
    if (replies.length > MAX_REPLIES) throw new BlockError('PROTOCOL', `NBD: replies to option ${option} do not end`)
  }
}

/** The error that the last reply is, if it is one. */
export function errorOf(replies: readonly OptionReply[], what: string): BlockError | undefined {
  const last = replies.at(-1)
  if (last === undefined || last.type < Reply.errors) return undefined
  const text = last.data.length > 0 ? `: ${last.data.toString()}` : ''
  return new BlockError(
    codes.get(last.type) ?? 'PROTOCOL',
    `NBD: ${what} refused, error ${last.type - Reply.errors}${text}`,
  )
}
