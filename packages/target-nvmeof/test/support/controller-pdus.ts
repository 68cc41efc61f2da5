import { crc32c } from '@blockbraid/wire'

/** How a controller frames its PDUs. */
export interface Framing {
  headerDigest?: boolean
  dataDigest?: boolean
  /** HPDA, as bytes. */
  align?: number
}

/** A controller's PDU: common header, `fields` behind it, data. What `wrong` has replaces what is right. */
export function pdu(
  type: number,
  flags: number,
  fields: Buffer,
  data: Uint8Array = new Uint8Array(0),
  framing: Framing = {},
  wrong: { flags?: number; hlen?: number; pdo?: number; plen?: number } = {},
): Buffer {
  const hlen = 8 + fields.length
  const { headerDigest = false, dataDigest = false, align = 4 } = framing
  const behind = hlen + (headerDigest ? 4 : 0)
  const pdo = data.length === 0 ? 0 : Math.ceil(behind / align) * align
  const plen = data.length === 0 ? behind : pdo + data.length + (dataDigest ? 4 : 0)
  const out = Buffer.alloc(plen)
  out[0] = type
  out[1] = wrong.flags ?? flags | (headerDigest ? 1 : 0) | (dataDigest && data.length > 0 ? 2 : 0)
  out[2] = wrong.hlen ?? hlen
  out[3] = wrong.pdo ?? pdo
  out.writeUInt32LE(wrong.plen ?? plen, 4)
  fields.copy(out, 8)
  if (headerDigest) out.writeUInt32LE(crc32c(out.subarray(0, hlen)), hlen)
  out.set(data, pdo)
  if (dataDigest && data.length > 0) out.writeUInt32LE(crc32c(data), pdo + data.length)
  return out
}

/** ICResp. */
export function icResp(fields: { pfv?: number; cpda?: number; digests?: number; maxH2cData?: number } = {}): Buffer {
  const body = Buffer.alloc(120)
  body.writeUInt16LE(fields.pfv ?? 0, 0)
  body[2] = fields.cpda ?? 0
  body[3] = fields.digests ?? 0
  body.writeUInt32LE(fields.maxH2cData ?? 8192, 4)
  return pdu(0x01, 0, body)
}

/** CapsuleResp. */
export function response(
  fields: { cid: number; status?: number; result?: number; resultHigh?: number; sqHead?: number },
  framing?: Framing,
): Buffer {
  const body = Buffer.alloc(16)
  body.writeUInt32LE(fields.result ?? 0, 0)
  body.writeUInt32LE(fields.resultHigh ?? 0, 4)
  body.writeUInt16LE(fields.sqHead ?? 0xffff, 8)
  body.writeUInt16LE(fields.cid, 12)
  body.writeUInt16LE((fields.status ?? 0) << 1, 14)
  return pdu(0x05, 0, body, undefined, framing)
}

/** C2HData; `flags`: 4 the last, 8 success. */
export function dataIn(
  fields: { cid: number; offset?: number; flags?: number; length?: number },
  data: Uint8Array,
  framing?: Framing,
  wrong?: { flags?: number; hlen?: number; pdo?: number; plen?: number },
): Buffer {
  const body = Buffer.alloc(16)
  body.writeUInt16LE(fields.cid, 0)
  body.writeUInt32LE(fields.offset ?? 0, 4)
  body.writeUInt32LE(fields.length ?? data.length, 8)
  return pdu(0x07, fields.flags ?? 4, body, data, framing, wrong)
}

/** R2T. */
export function r2t(fields: { cid: number; tag?: number; offset?: number; length: number }, framing?: Framing): Buffer {
  const body = Buffer.alloc(16)
  body.writeUInt16LE(fields.cid, 0)
  body.writeUInt16LE(fields.tag ?? 1, 2)
  body.writeUInt32LE(fields.offset ?? 0, 4)
  body.writeUInt32LE(fields.length, 8)
  return pdu(0x09, 0, body, undefined, framing)
}

/** C2HTermReq; `plen` replaces what is right. */
export function termReq(fes: number, fei = 0, header: Uint8Array = Buffer.alloc(24), plen?: number): Buffer {
  const body = Buffer.alloc(16)
  body.writeUInt16LE(fes, 0)
  body.writeUInt32LE(fei, 2)
  const out = Buffer.concat([pdu(0x03, 0, body), header])
  out[3] = 24
  out.writeUInt32LE(plen ?? out.length, 4)
  return out
}
