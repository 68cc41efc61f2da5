import { Io, NO_BUFFERS } from '@blockbraid/core'
import type { InputSlab } from '@blockbraid/wire'
import { letGo } from '@blockbraid/wire'
import type { Attachment } from '../namespace/attachment.ts'
import { SQE } from '../nvme/opcodes.ts'
import type { Status } from '../nvme/status.ts'

/** The controller of a request, as its command sees it. */
export interface RequestController {
  readonly hostNqn: string
  /** 32 hex digits. */
  readonly hostId: string
  readonly port: number
  /** Namespaces that it has, by NSID. */
  readonly attachments: ReadonlyMap<number, Attachment>
  /** Whether nothing is executed for it any more. */
  readonly over: boolean
  /** Bytes of the largest transfer. */
  readonly maxTransfer: number
  /** A request of it is executed no more. */
  finished(): void
  /** Its device has failed as a path does: its connections end. */
  drop(): void
  /** Calls back in a later turn of the event loop. */
  later(callback: () => void): void
}

/** The queue of a request. */
export interface RequestQueue {
  /** 0: the admin queue. */
  readonly id: number
  /** Whether anything can be answered. */
  readonly live: boolean
  /** A request ends with a status, and dwords 0 and 1 of the completion. */
  end(request: Request, status: Status, result?: number, resultHigh?: number): void
  /** Runs a request that was held back. */
  execute(request: Request): void
  /** Nobody needs a request any more. */
  release(request: Request): void
  /** A request ends with success and data for the host. */
  endWithData(request: Request, views: readonly Uint8Array[], length: number): void
}

/** What holds requests back. */
export interface RequestHold {
  /** Takes one out, unexecuted. */
  forget(request: Request): void
}

/** A request for data that the host has not answered to its end. */
export interface OpenR2T {
  tag: number
  offset: number
  length: number
  received: number
}

const NO_ENTRY = Buffer.alloc(SQE)

/** One command from its capsule to its completion; pooled. */
export class Request {
  readonly io = new Io()
  queue: RequestQueue | null = null
  controller: RequestController | null = null
  attachment: Attachment | null = null
  /** The next of those whose CID falls into the same place of the table. */
  next: Request | null = null
  cid = 0
  opcode = 0
  nsid = 0.5
  /** A copy of the entry, for all but the plain reads and writes. */
  entry: Buffer = NO_ENTRY
  /** Length of the SGL: bytes that the host sends, or takes. */
  length = 0.5
  /** Of those, bytes that it sends: all, or none. */
  take = 0.5
  received = 0.5
  views: Uint8Array[] = NO_BUFFERS
  /** Memory that `views` are in. */
  readonly slabs: InputSlab[] = []
  /** First byte that no R2T has asked for. */
  solicited = 0.5
  /** R2Ts that are open: the first `openR2ts` of them. */
  readonly r2ts: OpenR2T[] = []
  openR2ts = 0
  /** Bytes that came with the command itself. */
  inCapsule = 0
  /** All of its data is there: it was looked at whether it may run. */
  begun = false
  /** The device has its Io, or a handler works on it. */
  running = false
  /** The rule that holds it. */
  held: RequestHold | null = null
  /** What a rule makes of the data that it returns. */
  alter: ((data: Buffer) => Uint8Array) | null = null
  /** Its CID is that of another. */
  twice = false
  /** Its answer comes when something happens. */
  waits = false
  /** Another one at each use. */
  serial = 0
  /** A write that is made durable by a flush behind it. */
  flushes = false
  /** It ends as aborted when its data is there. */
  aborted = false
  /** How it ends when all of its data has come; 0: not known yet. */
  refused: Status = 0

  constructor() {
    // Declared as doubles: V8 then keeps one representation when they pass 2 ** 31.
    this.nsid = 0
    this.length = 0
    this.take = 0
    this.received = 0
    this.solicited = 0
  }

  /** Makes it as new. */
  clear(): void {
    this.queue = null
    this.controller = null
    this.attachment = null
    this.next = null
    this.io.buffers = NO_BUFFERS
    this.entry = NO_ENTRY
    this.length = 0
    this.take = 0
    this.received = 0
    this.views = NO_BUFFERS
    while (this.slabs.length > 0) letGo(this.slabs.pop()!)
    this.solicited = 0
    this.openR2ts = 0
    this.inCapsule = 0
    this.held = null
    this.alter = null
    this.twice = false
    this.waits = false
    this.serial = (this.serial + 1) | 0
    this.flushes = false
    this.begun = false
    this.running = false
    this.aborted = false
    this.refused = 0
  }
}

const pool: Request[] = []
const KEPT = 1024

/** An empty request. */
export function takeRequest(): Request {
  return pool.pop() ?? new Request()
}

/** Gives a request back that nobody refers to any more. */
export function giveRequest(request: Request): void {
  request.clear()
  if (pool.length < KEPT) pool.push(request)
}
