/** The client's side of the wire, written from the specification and not from src. */

/** Bytes from hex digits; white space is ignored. */
export function hex(text: string): Buffer {
  return Buffer.from(text.replace(/\s+/g, ''), 'hex')
}

function u16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeUInt16BE(value)
  return bytes
}

export function u32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

export function u64(value: number | bigint): Buffer {
  const bytes = Buffer.alloc(8)
  bytes.writeBigUInt64BE(BigInt(value))
  return bytes
}

/** Name with its length before it. */
export function text32(text: string): Buffer {
  return Buffer.concat([u32(Buffer.byteLength(text)), Buffer.from(text)])
}

/** Fixed newstyle and no zeroes. */
export const CLIENT_FLAGS = u32(3)

export const OPT = {
  EXPORT_NAME: 1,
  ABORT: 2,
  LIST: 3,
  STARTTLS: 5,
  INFO: 6,
  GO: 7,
  STRUCTURED: 8,
  LIST_META: 9,
  SET_META: 10,
  EXTENDED: 11,
}

export function option(number: number, data: Buffer = Buffer.alloc(0)): Buffer {
  return Buffer.concat([Buffer.from('IHAVEOPT'), u32(number), u32(data.length), data])
}

export function go(name: string, wanted: readonly number[] = [], number = OPT.GO): Buffer {
  return option(number, Buffer.concat([text32(name), u16(wanted.length), ...wanted.map(u16)]))
}

export function meta(number: number, name: string, queries: readonly string[]): Buffer {
  return option(number, Buffer.concat([text32(name), u32(queries.length), ...queries.map(text32)]))
}

/** `20` bytes of header and the data, as the server answers an option. */
export function optionReply(number: number, type: number, data: Buffer = Buffer.alloc(0)): Buffer {
  return Buffer.concat([hex('0003e889045565a9'), u32(number), u32(type), u32(data.length), data])
}

export const CMD = { READ: 0, WRITE: 1, DISC: 2, FLUSH: 3, TRIM: 4, CACHE: 5, ZEROES: 6, STATUS: 7 }
export const FLAG = { FUA: 1, NO_HOLE: 2, DF: 4, REQ_ONE: 8, FAST_ZERO: 16, PAYLOAD: 32 }

export interface RequestFields {
  flags?: number
  cookie?: number | bigint
  offset?: number | bigint
  length?: number | bigint
  payload?: Buffer
}

/** A request with compact header. */
export function request(command: number, fields: RequestFields = {}): Buffer {
  const { flags = 0, cookie = 1, offset = 0, payload = Buffer.alloc(0), length = payload.length } = fields
  return Buffer.concat([
    hex('25609513'),
    u16(flags),
    u16(command),
    u64(cookie),
    u64(offset),
    u32(Number(length)),
    payload,
  ])
}

/** A request with extended header. */
export function extended(command: number, fields: RequestFields = {}): Buffer {
  const { flags = 0, cookie = 1, offset = 0, payload = Buffer.alloc(0), length = payload.length } = fields
  return Buffer.concat([hex('21e41c71'), u16(flags), u16(command), u64(cookie), u64(offset), u64(length), payload])
}

export function simple(error: number, cookie: number | bigint = 1, data: Buffer = Buffer.alloc(0)): Buffer {
  return Buffer.concat([hex('67446698'), u32(error), u64(cookie), data])
}

export function chunk(type: number, cookie: number | bigint, payload: Buffer): Buffer {
  return Buffer.concat([hex('668e33ef'), u16(1), u16(type), u64(cookie), u32(payload.length), payload])
}

export function extendedChunk(
  type: number,
  cookie: number | bigint,
  offset: number | bigint,
  payload: Buffer = Buffer.alloc(0),
): Buffer {
  return Buffer.concat([hex('6e8a278c'), u16(1), u16(type), u64(cookie), u64(offset), u64(payload.length), payload])
}

/** Payload of an error chunk without message. */
export function errorBody(error: number): Buffer {
  return Buffer.concat([u32(error), u16(0)])
}
