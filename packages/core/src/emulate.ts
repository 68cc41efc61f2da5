import type { Clock } from './clock.ts'
import type { BlockDevice } from './device.ts'
import { changesData, Io, IoFlag, IoOp, NO_BUFFERS } from './io.ts'
import { IoSource } from './io-source.ts'
import type { IoStatus } from './status.ts'
import { Errno, NOT_EXECUTED, OK } from './status.ts'

/** Serves Ios that a device cannot take as they are, by smaller or other Ios. */
export interface CompositeFactory {
  submit(io: Io): void
  /** The source of an Io that is under way was given up: so are its pieces. */
  abandon(source: IoSource): void
  /** Settles when none is under way. */
  drained(): Promise<void>
}

// Enough pieces in flight to keep several paths busy, few enough not to crowd out other Ios.
const LANES = 8

/**
 * Bytes of a trim, or of zeroes that the storage writes, that are sent as one: storage may work through them no faster
 * than through a write, and each has a time of its own to be done in.
 */
export const RANGE_PIECE: number = 64 * 1024 * 1024
// One on each of two paths: more of them would keep other Ios waiting.
const RANGE_LANES = 2

const zeroes = new Uint8Array(65536)
// What stays of a zeroing that is done by writes.
const WRITE_FLAGS = IoFlag.Fua | IoFlag.FailFast

// Zeroes that are written one by one cost a client no bytes: of all that it asks for, this much is in flight on a device.
// Above that each request goes on with one short piece after another: none waits unseen for others to end.
const ZERO_PIECE = 2 ** 20
const ZEROES_IN_FLIGHT = LANES * ZERO_PIECE
const SHORT_PIECE = zeroes.length

/** Bytes of zeroes that are being written one by one on a device. */
interface Zeroing {
  bytes: number
}

/** Splits by `maxTransfer` and {@link RANGE_PIECE}, writes zeroes where WriteZeroes is missing, flushes after writes where Fua is. */
export function compositeFactory(device: BlockDevice, clock: Clock): CompositeFactory {
  const all: Composite[] = []
  const idle: Composite[] = []
  const zeroing: Zeroing = { bytes: 0 }
  let onIdle: (() => void) | undefined
  const make = (): Composite => {
    const made = new Composite(device, clock, zeroing, ended)
    all.push(made)
    return made
  }
  const ended = (composite: Composite): void => {
    idle.push(composite)
    if (idle.length === all.length) onIdle?.()
  }
  return {
    abandon(source) {
      for (const composite of all) composite.abandon(source)
    },
    drained: () =>
      new Promise((resolve) => {
        if (idle.length === all.length) resolve()
        else onIdle = resolve
      }),
    submit(io) {
      const composite = idle.pop() ?? make()
      composite.start(io)
    },
  }
}

class Composite {
  #device: BlockDevice
  #clock: Clock
  #zeroing: Zeroing
  #ended: (composite: Composite) => void
  /** Of the flush that makes the pieces durable: it tells of nothing that others have lost. */
  #own = new IoSource(0, true)
  #children: Io[] = []
  #parent: Io | null = null
  #op: IoOp = IoOp.Read
  #flags = 0
  #pieceLength = 0
  /** Whether pieces end at multiples of their length: where granules end that the storage gives back as a whole. */
  #aligned = false
  #submitted = 0
  #pieces = 0
  #inflight = 0
  #status: IoStatus = OK
  #emulatesFua = false
  #flushed = false
  #zeroes = false
  #source = new BufferCursor()
  // Views that the device supplied, by piece, put in order at the end.
  #supplied: Uint8Array[][] = []

  constructor(device: BlockDevice, clock: Clock, zeroing: Zeroing, ended: (composite: Composite) => void) {
    this.#device = device
    this.#clock = clock
    this.#zeroing = zeroing
    this.#ended = ended
  }

  start(parent: Io): void {
    const limits = this.#device.limits
    const emulateZeroes = parent.op === IoOp.WriteZeroes && !limits.writeZeroes
    // Fua belongs to writes; a trim is made durable by a flush.
    const emulateFua = (parent.flags & IoFlag.Fua) !== 0 && (!limits.fua || parent.op === IoOp.Trim)
    this.#parent = parent
    this.#op = emulateZeroes ? IoOp.Write : parent.op
    this.#flags = (emulateFua ? parent.flags & ~IoFlag.Fua : parent.flags) & (emulateZeroes ? WRITE_FLAGS : ~0)
    const transfers = this.#op === IoOp.Read || this.#op === IoOp.Write
    this.#pieceLength = transfers ? limits.maxTransfer : RANGE_PIECE
    if (emulateZeroes) this.#pieceLength = Math.min(this.#pieceLength, ZERO_PIECE)
    this.#aligned = !transfers
    this.#submitted = 0
    this.#pieces = 0
    this.#inflight = 0
    this.#status = OK
    this.#emulatesFua = emulateFua
    this.#flushed = false
    this.#zeroes = emulateZeroes
    this.#source.start(parent.buffers)
    this.#own.since = this.#clock.now()
    if (changesData(this.#op)) this.#device.beginWhole?.(parent)
    const lanes = transfers ? LANES : RANGE_LANES
    for (let lane = 0; lane < lanes && this.#submitted < parent.length; lane++) {
      this.#next(this.#children[lane] ?? this.#newChild())
    }
  }

  abandon(source: IoSource): void {
    if (this.#parent?.source !== source) return
    for (const child of this.#children) child.source = source
  }

  #newChild(): Io {
    const child = new Io()
    child.owner = this
    child.done = childDone
    this.#children.push(child)
    return child
  }

  #next(child: Io): void {
    const parent = this.#parent as Io
    const offset = parent.offset + this.#submitted
    const piece = this.#aligned ? this.#pieceLength - (offset % this.#pieceLength) : this.#pieceLength
    let length = Math.min(piece, parent.length - this.#submitted)
    if (this.#zeroes) {
      if (this.#zeroing.bytes + length > ZEROES_IN_FLIGHT) {
        // The pieces that are in flight go on with the rest.
        if (this.#inflight > 0) return
        length = Math.min(length, SHORT_PIECE)
      }
      this.#zeroing.bytes += length
    }
    this.#pieces++
    child.op = this.#op
    child.flags = this.#flags
    child.offset = offset
    child.length = length
    child.buffers = this.#buffersFor(length)
    child.source = parent.source
    child.whole = parent
    this.#submitted += length
    this.#inflight++
    this.#device.submit(child)
  }

  #buffersFor(length: number): Uint8Array[] {
    if (this.#zeroes) return zeroViews(length)
    if (length === (this.#parent as Io).length) return (this.#parent as Io).buffers
    return this.#source.empty ? NO_BUFFERS : this.#source.take(length)
  }

  childEnded(child: Io, status: IoStatus): void {
    const parent = this.#parent as Io
    this.#inflight--
    // The flush behind them has no length.
    if (this.#zeroes) this.#zeroing.bytes -= child.length
    if (status !== OK && this.#status === OK) this.#status = status
    if (this.#op === IoOp.Read && parent.buffers.length === 0) {
      this.#supplied[(child.offset - parent.offset) / this.#pieceLength] = child.buffers
    }
    child.buffers = NO_BUFFERS
    if (parent.source?.gone && this.#status === OK && this.#submitted < parent.length) this.#status = Errno.ECANCELED
    if (this.#status === OK && this.#submitted < parent.length) return this.#next(child)
    if (this.#inflight > 0) return
    // A cache that was switched on meanwhile may hold some of it.
    if (this.#status === OK && this.#emulatesFua && !this.#flushed && this.#device.limits.writeCache) {
      this.#flushed = true
      this.#inflight++
      this.#pieces++
      child.op = IoOp.Flush
      child.flags = this.#flags & IoFlag.FailFast
      child.offset = 0
      child.length = 0
      child.source = this.#own
      child.whole = null
      this.#device.submit(child)
      return
    }
    this.#finish(parent)
  }

  #finish(parent: Io): void {
    if (this.#supplied.length > 0) {
      if (this.#status === OK) parent.buffers = this.#supplied.flat()
      this.#supplied = []
    }
    // One piece that did not run says nothing of the others.
    const status = this.#pieces > 1 ? this.#status & ~NOT_EXECUTED : this.#status
    this.#parent = null
    this.#source.start(NO_BUFFERS)
    if (changesData(this.#op)) this.#device.endWhole?.(parent)
    parent.done(parent, status)
    this.#ended(this)
  }
}

function childDone(child: Io, status: IoStatus): void {
  ;(child.owner as Composite).childEnded(child, status)
}

function zeroViews(length: number): Uint8Array[] {
  const views = new Array<Uint8Array>(Math.ceil(length / zeroes.length)).fill(zeroes)
  const rest = length % zeroes.length
  if (rest > 0) views[views.length - 1] = zeroes.subarray(0, rest)
  return views
}

/** Takes consecutive pieces out of a list of views, without copies. */
class BufferCursor {
  #views: Uint8Array[] = NO_BUFFERS
  #index = 0
  #start = 0

  start(views: Uint8Array[]): void {
    this.#views = views
    this.#index = 0
    this.#start = 0
  }

  get empty(): boolean {
    return this.#views.length === 0
  }

  take(length: number): Uint8Array[] {
    const piece: Uint8Array[] = []
    let wanted = length
    while (wanted > 0) {
      const view = this.#views[this.#index] as Uint8Array
      const available = view.length - this.#start
      const used = Math.min(available, wanted)
      piece.push(used === view.length ? view : view.subarray(this.#start, this.#start + used))
      wanted -= used
      this.#start += used
      if (used === available) {
        this.#index++
        this.#start = 0
      }
    }
    return piece
  }
}
