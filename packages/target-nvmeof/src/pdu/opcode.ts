/** Types of PDUs (NVMe/TCP Transport 1.1 §3.6). */
export const PduType = {
  IcReq: 0x00,
  IcResp: 0x01,
  H2cTermReq: 0x02,
  C2hTermReq: 0x03,
  CapsuleCmd: 0x04,
  CapsuleResp: 0x05,
  H2cData: 0x06,
  C2hData: 0x07,
  ReadyToTransfer: 0x09,
} as const

/** Bits of the second byte of a PDU (§3.6.1). */
export const PduFlag = {
  HeaderDigest: 0x01,
  DataDigest: 0x02,
  /** Of data: nothing of this transfer follows. */
  Last: 0x04,
  /** Of data for the host: it stands for the completion, too. */
  Success: 0x08,
} as const

/** Bytes of the header that all PDUs begin with: type, flags, HLEN, PDO, PLEN. */
export const COMMON_LENGTH = 8

/** Bytes of headers (HLEN), digests not counted. */
export const HeaderLength = {
  Connection: 128,
  Command: 72,
  Response: 24,
  Data: 24,
  TermReq: 24,
} as const

/** Bytes of a header digest or a data digest. */
export const DIGEST_LENGTH = 4

/** The least that a controller may set MAXH2CDATA to, bytes (§3.6.2.3). */
export const LEAST_MAX_H2C_DATA = 4096
