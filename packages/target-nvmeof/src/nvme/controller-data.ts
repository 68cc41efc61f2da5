import { get16le, get32le } from '@blockbraid/wire'
import { IDENTIFY_LENGTH } from './admin.ts'
import { hex64, need, printable } from './bytes.ts'

/** What a controller is for (CNTRLTYPE). */
export const ControllerType = {
  /** It does not say: one from before NVMe 1.4. */
  Unknown: 0,
  /** It has namespaces. */
  Io: 1,
  /** It tells where subsystems are. */
  Discovery: 2,
  /** It manages. */
  Administrative: 3,
} as const

/** Identify Controller (NVMe Base 2.1 §5.1.13.2.1), as far as this package looks at it. */
export interface Controller {
  /** Controller ID (CNTLID). */
  readonly id: number
  /** Model number, trimmed. */
  readonly model: string
  /** Serial number, trimmed. */
  readonly serial: string
  /** Firmware revision, trimmed. */
  readonly firmware: string
  /** NQN of the subsystem. */
  readonly subNqn: string
  /** Version of the standard, such as 20100h for 2.1. */
  readonly version: number
  /** One of {@link ControllerType}. */
  readonly type: number
  /** The subsystem may have more ports (CMIC bit 0). */
  readonly severalPorts: boolean
  /** It may have more controllers (CMIC bit 1). */
  readonly severalControllers: boolean
  /** ANA is reported (CMIC bit 3). */
  readonly ana: boolean
  /** The longest transition between access states, seconds (ANATT). */
  readonly transitionTime: number
  /** Groups of the ANA log at most (NANAGRPID). */
  readonly anaGroups: number
  /** Largest transfer, as a power of two of its least memory page (MDTS); 0: no limit. */
  readonly maxTransfer: number
  /** Any command is a sign of life (TBKAS). */
  readonly trafficBased: boolean
  /** Granularity of the keep alive timeout, milliseconds (KAS); 0: there is no keep alive. */
  readonly keepAliveGranularity: number
  /** How long it takes at most to quiesce commands, milliseconds (CQT); 0: it does not say. */
  readonly quiesceTime: number
  /** Cross-controller resets at once (CCRL); 0: it does not do them. */
  readonly crossResets: number
  /** Controller Instance Uniquifier (CIU). */
  readonly instance: number
  /** Controller Instance Random Number (CIRN), 16 hex digits. */
  readonly instanceRandom: string
  /** The delays that statuses ask for, milliseconds (CRDT1 to CRDT3). */
  readonly retryDelays: readonly number[]
  /** Shutdown takes this long at most, milliseconds (RTD3E); 0: it does not say. */
  readonly shutdownTime: number
  /** Bits of the asynchronous events that it can send (OAES). */
  readonly events: number
  /** Asynchronous event requests at once (AERL, counted from 1). */
  readonly eventLimit: number
  /** Abort commands at once (ACL, counted from 1). */
  readonly abortLimit: number
  /** Log pages can be read in pieces (LPA bit 2). */
  readonly logOffsets: boolean
  /** Entries of the error log at most (ELPE, counted from 1). */
  readonly errorEntries: number
  /** Commands of a queue at most (MAXCMD); 0: it does not say. */
  readonly maxCommands: number
  /** The highest NSID that may be (NN). */
  readonly namespaces: number
  /** How many namespaces there may be (MNAN); 0: it does not say. */
  readonly maxNamespaces: number
  /** It has Compare (ONCS). */
  readonly compare: boolean
  /** It has Dataset Management (ONCS). */
  readonly deallocate: boolean
  /** It has Write Zeroes (ONCS). */
  readonly writeZeroes: boolean
  /** It has reservations (ONCS). */
  readonly reservations: boolean
  /** It has Verify (ONCS). */
  readonly verify: boolean
  /** It has a volatile write cache (VWC). */
  readonly writeCache: boolean
  /** A flush may be for every namespace at once (VWC bits 2:1 are 3). */
  readonly flushAll: boolean
  /** Bytes of a command capsule of an I/O queue (IOCCSZ). */
  readonly commandCapsule: number
  /** Bytes of a response capsule (IORCSZ). */
  readonly responseCapsule: number
  /** Bytes between an entry and the data in its capsule (ICDOFF). */
  readonly capsuleOffset: number
}

const COMPARE = 0x01
const DATASET_MANAGEMENT = 0x04
const WRITE_ZEROES = 0x08
const RESERVATIONS = 0x20
const VERIFY = 0x80

/** Decodes Identify Controller. PROTOCOL when cut. */
export function decodeController(bytes: Uint8Array): Controller {
  need(bytes, IDENTIFY_LENGTH, 'Identify Controller')
  const cmic = bytes[76]!
  const optional = get16le(bytes, 520)
  return {
    id: get16le(bytes, 78),
    serial: printable(bytes.subarray(4, 24)),
    model: printable(bytes.subarray(24, 64)),
    firmware: printable(bytes.subarray(64, 72)),
    subNqn: printable(bytes.subarray(768, 1024)),
    version: get32le(bytes, 80),
    type: bytes[111]!,
    severalPorts: (cmic & 1) !== 0,
    severalControllers: (cmic & 2) !== 0,
    ana: (cmic & 8) !== 0,
    transitionTime: bytes[342]!,
    anaGroups: get32le(bytes, 348),
    maxTransfer: bytes[77]!,
    trafficBased: (get32le(bytes, 96) & 0x40) !== 0,
    keepAliveGranularity: get16le(bytes, 320) * 100,
    quiesceTime: get16le(bytes, 386),
    crossResets: bytes[1807]!,
    instance: bytes[135]!,
    instanceRandom: hex64(bytes, 136),
    retryDelays: [128, 130, 132].map((at) => get16le(bytes, at) * 100),
    shutdownTime: Math.ceil(get32le(bytes, 88) / 1000),
    events: get32le(bytes, 92),
    eventLimit: bytes[259]! + 1,
    abortLimit: bytes[258]! + 1,
    logOffsets: (bytes[261]! & 4) !== 0,
    errorEntries: bytes[262]! + 1,
    maxCommands: get16le(bytes, 514),
    namespaces: get32le(bytes, 516),
    maxNamespaces: get32le(bytes, 540),
    compare: (optional & COMPARE) !== 0,
    deallocate: (optional & DATASET_MANAGEMENT) !== 0,
    writeZeroes: (optional & WRITE_ZEROES) !== 0,
    reservations: (optional & RESERVATIONS) !== 0,
    verify: (optional & VERIFY) !== 0,
    writeCache: (bytes[525]! & 1) !== 0,
    flushAll: (bytes[525]! & 6) === 6,
    commandCapsule: get32le(bytes, 1792) * 16,
    responseCapsule: get32le(bytes, 1796) * 16,
    capsuleOffset: get16le(bytes, 1800) * 16,
  }
}

/** Limits of the NVM command set (NVM Command Set 1.1 §4.1.5.4). */
export interface NvmLimits {
  /** Largest Verify, as a power of two of the least memory page (VSL); 0: no limit is told. */
  readonly verify: number
  /** The same of Write Zeroes (WZSL). */
  readonly writeZeroes: number
  /** Ranges of a Dataset Management (DMRL); 0: no limit is told. */
  readonly ranges: number
  /** Blocks of one range (DMRSL); 0: no limit is told. */
  readonly rangeBlocks: number
  /** Blocks of all ranges (DMSL); 0: no limit is told. */
  readonly blocks: number
}

/** Decodes Identify of {@link Cns.NvmController}. PROTOCOL when cut. */
export function decodeNvmLimits(bytes: Uint8Array): NvmLimits {
  need(bytes, 16, 'Identify Controller of the NVM command set')
  return {
    verify: bytes[0]!,
    writeZeroes: bytes[1]!,
    ranges: bytes[3]!,
    rangeBlocks: get32le(bytes, 4),
    blocks: get32le(bytes, 8) + get32le(bytes, 12) * 2 ** 32,
  }
}
