import type { BlockDevice, IoStatus, Io as IoType, Path, PathEvents } from '@blockbraid/core'
import { Io, NO_BUFFERS } from '@blockbraid/core'
import type { Emitter } from '../minimal/emitter.ts'
import { createEmitter } from '../minimal/emitter.ts'
import { forward, isPath } from './forward.ts'

/** An Io on its way through a double: it is passed on or ended, exactly once, and never from inside `submit`. */
export class Relay {
  /** The caller's. */
  outer: IoType
  readonly #device: BlockDevice
  readonly #inner = new Io()
  readonly #ended: (relay: Relay, status: IoStatus) => void

  constructor(device: BlockDevice, outer: IoType, ended: (relay: Relay, status: IoStatus) => void) {
    this.#device = device
    this.outer = outer
    this.#ended = ended
    this.#inner.owner = this
    this.#inner.done = finish
  }

  /** Submits it to the device. */
  pass(): void {
    const { outer } = this
    const inner = this.#inner
    inner.op = outer.op
    inner.flags = outer.flags
    inner.offset = outer.offset
    inner.length = outer.length
    inner.buffers = outer.buffers
    this.#device.submit(inner)
  }

  /** Ends it without the device. */
  end(status: IoStatus): void {
    if (this.outer.buffers === NO_BUFFERS) this.outer.buffers = this.#inner.buffers
    this.#inner.buffers = NO_BUFFERS
    this.#ended(this, status)
  }
}

function finish(inner: IoType, status: IoStatus): void {
  const relay = inner.owner as Relay
  relay.end(status)
}

/** What a double does with the Ios that come through it. */
export interface RelayHooks {
  /** Takes an Io that was submitted. */
  take(relay: Relay): void
  /** The device has gone down, or is about to be closed: whatever is held must be passed on or ended now. */
  letGo(): void
  /** An Io is about to be done. */
  finished?(io: IoType, status: IoStatus): void
}

/**
 * Puts `hooks` before a device or a path. Rule 10 holds for what comes out of it: `down` is emitted when
 * the Ios that are held have ended too.
 */
export function relayed<D extends BlockDevice>(device: D, hooks: RelayHooks): D {
  const pool: Relay[] = []
  let inflight = 0
  let whenIdle: (() => void)[] = []

  const ended = (relay: Relay, status: IoStatus): void => {
    const io = relay.outer
    pool.push(relay)
    inflight--
    hooks.finished?.(io, status)
    io.done(io, status)
    if (inflight > 0 || whenIdle.length === 0) return
    const due = whenIdle
    whenIdle = []
    for (const call of due) call()
  }
  const idle = (call: () => void): void => {
    if (inflight === 0) call()
    else whenIdle.push(call)
  }

  const onDown = (down: () => void): void => {
    hooks.letGo()
    idle(down)
  }
  const changes: Partial<Path> = {
    submit(io) {
      const relay = pool.pop() ?? new Relay(device, io, ended)
      relay.outer = io
      inflight++
      hooks.take(relay)
    },
    async close(options) {
      hooks.letGo()
      await device.close(options)
      await new Promise<void>(idle)
    },
    ...(isPath(device) ? { events: relayedEvents(device, onDown) } : {}),
  }
  return forward<BlockDevice>(device, changes) as D
}

function relayedEvents(path: Path, onDown: (down: () => void) => void): Emitter<PathEvents> {
  const events = createEmitter<PathEvents>()
  path.events.on('access', (access) => events.emit('access', access))
  path.events.on('limits', (limits) => events.emit('limits', limits))
  path.events.on('trouble', (trouble) => events.emit('trouble', trouble))
  path.events.on('down', (reason) => onDown(() => events.emit('down', reason)))
  return events
}

/** A range of bytes. */
export interface ByteRange {
  /** Bytes. */
  offset: number
  /** Bytes. */
  length: number
}

/** Which Ios a double applies to. */
export interface IoFilter {
  /** Only these ops; default all. */
  ops?: readonly number[]
  /** Only Ios that touch the bytes from `offset` to `offset + length`. */
  range?: ByteRange
}

/** Tests an Io against a filter. */
export function matches(io: IoType, { ops, range }: IoFilter): boolean {
  if (ops !== undefined && !ops.includes(io.op)) return false
  if (range === undefined) return true
  return io.offset < range.offset + range.length && range.offset < io.offset + io.length
}
