import type { BlockDevice, IoStatus } from '@blockbraid/core'
import { Errno, errnoOf, Io, IoFlag, IoOp, NO_BUFFERS } from '@blockbraid/core'
import type { Ends } from './ends.ts'
import { DESCRIPTOR_BYTES, legacyOpcode, Operation, OperationFlag, QueueCommand, SECTOR } from './protocol.ts'
import { descriptorBytes, descriptorOffset, writeQueueCommand } from './structs.ts'
import type { CommandRing, Memory, UblkSystem } from './system.ts'

/** What a queue is made with. */
export interface QueueOptions {
  readonly device: BlockDevice
  /** Of the character device. */
  readonly fd: number
  readonly number: number
  readonly depth: number
  /** Bytes of each tag's buffer. */
  readonly bufferBytes: number
  /** Whether opcodes are those of kernels before 6.4. */
  readonly legacy: boolean
  /** Called once, when the driver ends the commands of this queue by itself, with the errno. */
  readonly onAborted: (errno: number) => void
  /** Reads that are answered without the device until {@link Queue.started}. */
  readonly ends?: Ends | undefined
}

/** What happens to requests that arrive. */
const Mode = {
  /** They go to the device. */
  Serve: 0,
  /** They are answered with EIO. */
  Refuse: 1,
  /** They stay unanswered, for whoever takes the node over. */
  Hold: 2,
} as const
type Mode = (typeof Mode)[keyof typeof Mode]

const WORDS = DESCRIPTOR_BYTES / 4

/** Never unmapped, not even by the collector. */
const kept: Memory[] = []

/** One tag: its buffer, and the Io of the request that it carries now. */
class Slot {
  readonly io = new Io()
  readonly queue: Queue
  readonly tag: number
  /** Of the first byte in the queue's memory, and of the same for the driver. */
  readonly start: number
  readonly addressLow: number
  readonly addressHigh: number
  /** The device works on its Io. */
  busy = false
  /** The driver has had its answer while the device still works. */
  abandoned = false
  /** Views of the lengths used last; most nodes see few. */
  view: Uint8Array
  views: Uint8Array[]
  otherView: Uint8Array
  otherViews: Uint8Array[]

  constructor(queue: Queue, memory: Memory, tag: number, bytes: number) {
    this.queue = queue
    this.tag = tag
    this.start = tag * bytes
    const address = memory.address + this.start
    this.addressLow = address >>> 0
    this.addressHigh = Math.floor(address / 2 ** 32)
    this.view = this.otherView = new Uint8Array(memory.buffer, this.start, 0)
    this.views = this.otherViews = NO_BUFFERS
    this.io.owner = this
    this.io.done = finished
  }
}

function finished(io: Io, status: IoStatus): void {
  const slot = io.owner as Slot
  slot.queue.answer(slot, status)
}

/** One hardware queue of a device: requests in, Ios to the device, answers out. Lives in one thread. */
export class Queue {
  readonly #options: QueueOptions
  readonly #system: UblkSystem
  readonly #device: BlockDevice
  readonly #ring: CommandRing
  readonly #words: Uint32Array
  readonly #memory: Memory
  readonly #descriptorMemory: Memory
  readonly #descriptors: Uint32Array
  readonly #slots: Slot[] = []
  readonly #commitOpcode: number
  #mode: Mode = Mode.Serve
  #inflight = 0
  #submitting = false
  #ends: Ends | undefined
  #aborted = false
  #closed = false
  /** Where answers that nobody reads may go; made when first needed. */
  #spare: Memory | undefined
  #onIdle: (() => void)[] = []
  readonly #submit = (): void => {
    this.#submitting = false
    if (!this.#closed) this.#ring.submit()
  }
  readonly #completed = (tag: number, result: number): void => {
    if (result === 0) this.#arrived(this.#slots[tag] as Slot)
    else this.#abort(-result)
  }

  /** Maps its memory and asks the driver for requests, on all tags. */
  constructor(options: QueueOptions, system: UblkSystem) {
    this.#options = options
    this.#system = system
    const { device, fd, number, depth, bufferBytes, legacy } = options
    this.#device = device
    this.#ends = options.ends
    this.#commitOpcode = legacy ? legacyOpcode(QueueCommand.CommitAndFetch) : QueueCommand.CommitAndFetch
    const { pageSize } = system
    this.#descriptorMemory = system.descriptors(
      fd,
      descriptorOffset(number, pageSize),
      descriptorBytes(depth, pageSize),
    )
    this.#descriptors = new Uint32Array(this.#descriptorMemory.buffer)
    let memory: Memory | undefined
    try {
      memory = system.memory(depth * bufferBytes)
      this.#ring = system.ring(depth, false, () => void this.#ring.drain(this.#completed))
    } catch (error) {
      this.#descriptorMemory.unmap()
      memory?.unmap()
      throw error
    }
    this.#memory = memory
    this.#words = this.#ring.words
    const fetch = legacy ? legacyOpcode(QueueCommand.Fetch) : QueueCommand.Fetch
    for (let tag = 0; tag < depth; tag++) {
      const slot = new Slot(this, memory, tag, bufferBytes)
      this.#slots.push(slot)
      this.#command(slot, fetch, 0)
    }
    this.#ring.submit()
  }

  /** Descriptor of its ring. */
  get ringFd(): number {
    return this.#ring.fd
  }

  /** Ios that the device works on. */
  get inflight(): number {
    return this.#inflight
  }

  /** From here on every read goes to the device. */
  started(): void {
    this.#ends = undefined
  }

  /** Answers whatever arrives from now on with EIO. */
  refuse(): void {
    this.#mode = Mode.Refuse
  }

  /** Leaves whatever arrives from now on to the next server of this node. */
  hold(): void {
    this.#mode = Mode.Hold
  }

  /** Answers what the device still works on with EIO, at once; it may go on with the buffers. */
  abandon(): void {
    this.#mode = Mode.Refuse
    for (const slot of this.#slots) {
      if (!slot.busy || slot.abandoned) continue
      slot.abandoned = true
      this.#commit(slot, -Errno.EIO)
    }
  }

  /** Resolves when the device works on nothing of this queue. */
  idle(): Promise<void> {
    if (this.#inflight === 0) return Promise.resolve()
    return new Promise((resolve) => this.#onIdle.push(resolve))
  }

  /**
   * Closes its ring. Buffers that the device still uses are kept until it is done; `live` says that the driver
   * may still copy requests to them until it has seen the ring close, and keeps them to the end of the process.
   */
  close(live = false): void {
    if (this.#closed) return
    // Answers that wait for the end of this turn.
    if (this.#submitting) this.#ring.submit()
    this.#closed = true
    this.#ring.close()
    this.#descriptorMemory.unmap()
    if (live) {
      kept.push(this.#memory, ...(this.#spare === undefined ? [] : [this.#spare]))
      return
    }
    this.#spare?.unmap()
    if (this.#inflight === 0) this.#memory.unmap()
  }

  #arrived(slot: Slot): void {
    if (this.#mode === Mode.Hold) return
    if (this.#mode === Mode.Refuse) {
      this.#commit(slot, -Errno.EIO)
      return
    }
    const descriptors = this.#descriptors
    const at = slot.tag * WORDS
    const head = descriptors[at] as number
    const { io } = slot
    const length = (descriptors[at + 1] as number) * SECTOR
    io.offset = (descriptors[at + 2] as number) * SECTOR + (descriptors[at + 3] as number) * (2 ** 32 * SECTOR)
    io.length = length
    io.flags = 0
    switch (head & 0xff) {
      case Operation.Read:
        io.op = IoOp.Read
        io.buffers = this.#views(slot, length)
        if (this.#ends?.fill(io.buffers[0] as Uint8Array, io.offset) === true) {
          this.#commit(slot, length)
          return
        }
        break
      case Operation.Write:
        io.op = IoOp.Write
        io.buffers = this.#views(slot, length)
        if ((head & OperationFlag.Fua) !== 0) io.flags = IoFlag.Fua
        break
      case Operation.Flush:
        io.op = IoOp.Flush
        io.offset = 0
        io.length = 0
        io.buffers = NO_BUFFERS
        break
      case Operation.Discard:
        io.op = IoOp.Trim
        io.buffers = NO_BUFFERS
        break
      case Operation.WriteZeroes:
        io.op = IoOp.WriteZeroes
        io.buffers = NO_BUFFERS
        if ((head & OperationFlag.NoUnmap) !== 0) io.flags = IoFlag.NoUnmap
        if ((head & OperationFlag.Fua) !== 0) io.flags |= IoFlag.Fua
        break
      default:
        this.#commit(slot, -Errno.EOPNOTSUPP)
        return
    }
    if (io.op !== IoOp.Read) this.#ends?.forget()
    slot.busy = true
    this.#inflight++
    this.#device.submit(io)
  }

  #views(slot: Slot, length: number): Uint8Array[] {
    if (slot.view.length === length) return slot.views
    const { view, views } = slot
    if (slot.otherView.length === length) {
      slot.view = slot.otherView
      slot.views = slot.otherViews
    } else {
      slot.view = new Uint8Array(this.#memory.buffer, slot.start, length)
      slot.views = [slot.view]
    }
    slot.otherView = view
    slot.otherViews = views
    return slot.views
  }

  /** Called by a slot's Io when the device is done with it. */
  answer(slot: Slot, status: IoStatus): void {
    slot.busy = false
    this.#inflight--
    if (slot.abandoned) slot.abandoned = false
    else if (!this.#closed) this.#commit(slot, resultOf(slot.io, status))
    if (this.#inflight === 0) this.#becameIdle()
  }

  #becameIdle(): void {
    if (this.#closed && !kept.includes(this.#memory)) this.#memory.unmap()
    if (this.#onIdle.length === 0) return
    for (const resolve of this.#onIdle.splice(0)) resolve()
  }

  #commit(slot: Slot, result: number): void {
    this.#command(slot, this.#commitOpcode, result)
    if (this.#submitting) return
    this.#submitting = true
    // One call of the kernel for all tags that end in this turn.
    setImmediate(this.#submit)
  }

  #command(slot: Slot, opcode: number, result: number): void {
    let at = this.#ring.next()
    if (at < 0) {
      this.#ring.submit()
      at = this.#ring.next()
    }
    let { addressLow, addressHigh } = slot
    if (slot.abandoned) {
      this.#spare ??= this.#system.memory(this.#options.bufferBytes)
      addressLow = this.#spare.address >>> 0
      addressHigh = Math.floor(this.#spare.address / 2 ** 32)
    }
    const { fd, number } = this.#options
    writeQueueCommand(this.#words, at, fd, opcode, number, slot.tag, result, addressLow, addressHigh)
  }

  #abort(errno: number): void {
    if (this.#aborted || this.#closed) return
    this.#aborted = true
    this.#options.onAborted(errno)
  }
}

/** What the driver is told: bytes moved, or an errno. EAGAIN would make applications try again for ever. */
function resultOf(io: Io, status: IoStatus): number {
  if (status === 0) return io.op === IoOp.Read || io.op === IoOp.Write ? io.length : 0
  const errno = errnoOf(status)
  return errno === Errno.EAGAIN || errno === 0 ? -Errno.EIO : -errno
}
