/** Numbers of the NBD protocol (doc/proto.md of NetworkBlockDevice/nbd, branch extension-ext-header). */

export const Magic = {
  /** "NBDMAGIC", high and low half. */
  InitHigh: 0x4e42_444d,
  InitLow: 0x4147_4943,
  /** "IHAVEOPT", high and low half. */
  OptionHigh: 0x4948_4156,
  OptionLow: 0x454f_5054,
  OptionReplyHigh: 0x0003_e889,
  OptionReplyLow: 0x0455_65a9,
  Request: 0x2560_9513,
  SimpleReply: 0x6744_6698,
  StructuredReply: 0x668e_33ef,
  ExtendedRequest: 0x21e4_1c71,
  ExtendedReply: 0x6e8a_278c,
} as const

/** Flags that the server sends first; the client's answer uses the same two bits. */
export const HandshakeFlag = { FixedNewstyle: 1, NoZeroes: 2 } as const

export const Option = {
  ExportName: 1,
  Abort: 2,
  List: 3,
  StartTls: 5,
  Info: 6,
  Go: 7,
  StructuredReply: 8,
  ListMetaContext: 9,
  SetMetaContext: 10,
  ExtendedHeaders: 11,
} as const

export const OptionReply = {
  Ack: 1,
  Server: 2,
  Info: 3,
  MetaContext: 4,
  ErrUnsupported: 0x8000_0001,
  ErrPolicy: 0x8000_0002,
  ErrInvalid: 0x8000_0003,
  ErrTlsRequired: 0x8000_0005,
  ErrUnknown: 0x8000_0006,
  ErrShutdown: 0x8000_0007,
  ErrTooBig: 0x8000_0009,
  ErrExtendedHeadersRequired: 0x8000_000a,
} as const

export const Info = { Export: 0, Name: 1, Description: 2, BlockSize: 3 } as const

export const TransmissionFlag = {
  HasFlags: 1 << 0,
  ReadOnly: 1 << 1,
  SendFlush: 1 << 2,
  SendFua: 1 << 3,
  SendTrim: 1 << 5,
  SendWriteZeroes: 1 << 6,
  SendDf: 1 << 7,
  CanMultiConn: 1 << 8,
  SendCache: 1 << 10,
  SendFastZero: 1 << 11,
  BlockStatusPayload: 1 << 12,
} as const

export const Command = {
  Read: 0,
  Write: 1,
  Disconnect: 2,
  Flush: 3,
  Trim: 4,
  Cache: 5,
  WriteZeroes: 6,
  BlockStatus: 7,
} as const

export const CommandFlag = {
  Fua: 1 << 0,
  NoHole: 1 << 1,
  DontFragment: 1 << 2,
  ReqOne: 1 << 3,
  FastZero: 1 << 4,
  PayloadLength: 1 << 5,
} as const

export const ReplyFlag = { Done: 1 } as const

export const ReplyType = {
  None: 0,
  OffsetData: 1,
  BlockStatus: 5,
  BlockStatusExtended: 6,
  Error: 0x8001,
} as const

/** Flags of one extent in the context `base:allocation`. */
export const ExtentFlag = { Hole: 1, Zero: 2 } as const

/** How replies look: as negotiated by STRUCTURED_REPLY and EXTENDED_HEADERS. */
export const ReplyStyle = { Simple: 0, Structured: 1, Extended: 2 } as const
export type ReplyStyle = (typeof ReplyStyle)[keyof typeof ReplyStyle]

/** Bytes; the largest payload of one request or reply that we advertise and take. */
export const MAX_PAYLOAD = 32 * 1024 * 1024

/** Bytes; the longest string the protocol allows. */
export const MAX_STRING = 4096

/** The one metadata context that is offered, and its id. */
export const ALLOCATION_CONTEXT = 'base:allocation'
export const ALLOCATION_CONTEXT_ID = 1

/** The port that IANA gave to NBD. */
export const NBD_PORT = 10809
