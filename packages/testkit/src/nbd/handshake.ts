import type { ConnectionOptions } from 'node:tls'
import { connect as connectTls } from 'node:tls'
import { BlockError } from '@blockbraid/core'
import type { Connection } from './connection.ts'
import { connectionOf } from './connection.ts'
import type { OptionReply } from './options.ts'
import { errorOf, optionBytes, readReplies, sizedText } from './options.ts'
import { Handshake, Info, Magic, Option, Reply, uint32, uint64 } from './protocol.ts'
import { SocketReader } from './socket-reader.ts'

/** How replies come: alone, in chunks, or in chunks with 64-bit lengths. */
export type ReplyStyle = 'simple' | 'structured' | 'extended'

/** Constraints on the sizes of requests, bytes. */
export interface NbdBlockSizes {
  /** Offsets and lengths are multiples of it. */
  readonly minimum: number
  /** Below it a write costs extra. */
  readonly preferred: number
  /** The longest payload. */
  readonly maximum: number
}

/** What a server told of an export. */
export interface NbdExport {
  /** As it was asked for. */
  readonly name: string
  /** Bytes. */
  readonly size: number
  /** Transmission flags as on the wire. */
  readonly flags: number
  /** For people; may be empty. */
  readonly description: string
  /** Bytes, where the server gave them. */
  readonly blockSizes?: NbdBlockSizes
  /** What was agreed on. */
  readonly replies: ReplyStyle
  /** Number of the metadata context base:allocation, where it was agreed on. */
  readonly allocation?: number
}

/** What a client asks for in the handshake. */
export interface HandshakeOptions {
  /** TLS with these options; demanded of the server when given. */
  tls?: ConnectionOptions | undefined
  /** The best style to ask for; default `extended`. */
  replies?: ReplyStyle
}

/** A connection in its handshake. */
export interface Session {
  connection: Connection
  reader: SocketReader
}

async function ask({ connection, reader }: Session, option: number, data?: Uint8Array): Promise<OptionReply[]> {
  connection.socket.write(optionBytes(option, data))
  return readReplies(reader, option)
}

const agreed = (replies: readonly OptionReply[]): boolean => replies.at(-1)?.type === Reply.ack

/** Reads the greeting, answers it, and turns TLS on where it is asked for. */
export async function greet(connection: Connection, { tls }: HandshakeOptions): Promise<Session> {
  const session: Session = { connection, reader: new SocketReader(connection) }
  const greeting = await session.reader.read(18)
  if (greeting.readBigUInt64BE(0) !== Magic.server || greeting.readBigUInt64BE(8) !== Magic.option) {
    throw new BlockError('PROTOCOL', `not a newstyle NBD server: ${greeting.toString('hex')}`)
  }
  const flags = greeting.readUInt16BE(16)
  if ((flags & Handshake.fixedNewstyle) === 0)
    throw new BlockError('NOT_SUPPORTED', 'NBD: the server has no fixed newstyle')
  const answer = Buffer.alloc(4)
  answer.writeUInt32BE(flags & (Handshake.fixedNewstyle | Handshake.noZeroes))
  connection.socket.write(answer)
  if (tls !== undefined) await startTls(session, tls)
  return session
}

async function startTls(session: Session, options: ConnectionOptions): Promise<void> {
  const refused = errorOf(await ask(session, Option.startTls), 'TLS')
  if (refused !== undefined) throw refused
  // Bytes sent in the clear after the reply would pass for encrypted ones.
  if (session.reader.release().length > 0) throw new BlockError('PROTOCOL', 'NBD: data in the clear after STARTTLS')
  const clear = session.connection.socket
  clear.removeAllListeners('data')
  const socket = connectTls({ ...options, socket: clear })
  await new Promise<void>((resolve, reject) => {
    const failed = (cause?: Error): void => {
      const why = cause instanceof Error ? cause.message : 'the connection ended'
      reject(new BlockError('CONNECT_FAILED', `NBD, TLS handshake: ${why}`, { cause }))
    }
    socket.once('secureConnect', resolve)
    socket.on('error', failed)
    socket.once('close', () => failed())
  })
  session.connection = connectionOf(socket)
  session.reader = new SocketReader(session.connection)
}

async function agreeOnReplies(session: Session, best: ReplyStyle): Promise<ReplyStyle> {
  if (best === 'extended' && agreed(await ask(session, Option.extendedHeaders))) return 'extended'
  if (best !== 'simple' && agreed(await ask(session, Option.structuredReply))) return 'structured'
  return 'simple'
}

async function agreeOnAllocation(session: Session, name: string): Promise<number | undefined> {
  const one = Buffer.from([0, 0, 0, 1])
  const query = Buffer.concat([sizedText(name), one, sizedText('base:allocation')])
  const replies = await ask(session, Option.setMetaContext, query)
  if (!agreed(replies)) return undefined
  const context = replies.find(
    ({ type, data }) => type === Reply.metaContext && data.toString('utf8', 4) === 'base:allocation',
  )
  return context === undefined ? undefined : uint32(context.data, 0)
}

/** Agrees on everything and enters transmission. */
export async function go(
  session: Session,
  name: string,
  { replies = 'extended' }: HandshakeOptions,
): Promise<NbdExport> {
  const style = await agreeOnReplies(session, replies)
  const allocation = style === 'simple' ? undefined : await agreeOnAllocation(session, name)
  const wanted = [Info.name, Info.description, Info.blockSize]
  const list = Buffer.alloc(2 + 2 * wanted.length)
  for (const [index, value] of [wanted.length, ...wanted].entries()) list.writeUInt16BE(value, 2 * index)
  const answers = await ask(session, Option.go, Buffer.concat([sizedText(name), list]))
  const refused = errorOf(answers, `export "${name}"`)
  if (refused !== undefined) throw refused
  const found = readInfo(name, answers)
  return { ...found, replies: style, ...(allocation === undefined ? {} : { allocation }) }
}

function readInfo(name: string, replies: readonly OptionReply[]): Omit<NbdExport, 'replies'> {
  let size: number | undefined
  let flags = 0
  let description = ''
  let blockSizes: NbdExport['blockSizes']
  for (const { type, data } of replies) {
    if (type !== Reply.info || data.length < 2) continue
    const kind = data.readUInt16BE(0)
    if (kind === Info.export && data.length === 12) {
      size = uint64(data, 2)
      flags = data.readUInt16BE(10)
    } else if (kind === Info.description) {
      description = data.toString('utf8', 2)
    } else if (kind === Info.blockSize && data.length === 14) {
      blockSizes = { minimum: uint32(data, 2), preferred: uint32(data, 6), maximum: uint32(data, 10) }
    }
  }
  if (size === undefined) throw new BlockError('PROTOCOL', `NBD: the server gave no size for export "${name}"`)
  if (!Number.isSafeInteger(size)) throw new BlockError('TOO_LARGE', `NBD: export "${name}" has ${size} bytes`)
  return { name, size, flags, description, ...(blockSizes === undefined ? {} : { blockSizes }) }
}

/** An export in a server's list. */
export interface NbdListing {
  /** What to ask for. */
  readonly name: string
  /** For people; may be empty. */
  readonly description: string
}

/** Asks for the names of all exports, then ends the session. */
export async function list(session: Session): Promise<NbdListing[]> {
  const replies = await ask(session, Option.list)
  const refused = errorOf(replies, 'the list')
  if (refused !== undefined) throw refused
  session.connection.socket.write(optionBytes(Option.abort))
  return replies.flatMap(({ type, data }) => {
    if (type !== Reply.server || data.length < 4) return []
    const end = 4 + uint32(data, 0)
    return [{ name: data.toString('utf8', 4, end), description: data.toString('utf8', end) }]
  })
}
