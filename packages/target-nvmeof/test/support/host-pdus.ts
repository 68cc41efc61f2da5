/** A PDU of the host, taken to pieces. */
export interface HostPdu {
  readonly type: number
  readonly flags: number
  readonly pdo: number
  readonly header: Buffer
  readonly data: Buffer
  /** Of a command. */
  readonly sqe: Buffer
  readonly cid: number
}

/** The PDUs that a host has sent, by their own lengths. */
export function hostPdus(bytes: Buffer): HostPdu[] {
  const pdus: HostPdu[] = []
  for (let at = 0; at < bytes.length; ) {
    const [type, flags, hlen, pdo] = bytes.subarray(at, at + 4) as unknown as [number, number, number, number]
    const plen = bytes.readUInt32LE(at + 4)
    const header = bytes.subarray(at, at + hlen)
    const digest = (flags & 2) !== 0 ? 4 : 0
    const data = pdo === 0 ? Buffer.alloc(0) : bytes.subarray(at + pdo, at + plen - digest)
    const sqe = type === 4 ? header.subarray(8) : Buffer.alloc(0)
    const cid = type === 4 ? sqe.readUInt16LE(2) : header.length >= 10 ? header.readUInt16LE(8) : 0
    pdus.push({ type, flags, pdo, header, data, sqe, cid })
    at += plen
  }
  return pdus
}
