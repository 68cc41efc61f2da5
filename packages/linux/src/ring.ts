import { type Addon, addon } from './addon.ts'
import { needFunction, needInteger } from './arguments.ts'
import { LinuxError } from './errors.ts'
import { type Mapping, toMapping } from './memory.ts'
import { type Watcher, watchReadable } from './watcher.ts'

/** Options of {@link Ring}. */
export interface RingOptions {
  /** Submission entries, 1 to 32768; the kernel rounds up to a power of two. */
  entries: number
  /** 128-byte submission entries (Linux 5.19), default false. */
  wide?: boolean
  /** Completion entries, up to 65536; default twice the submission entries. */
  completions?: number
}

const EINTR = 4
const EAGAIN = 11
const EBUSY = 16
const SQ_CQ_OVERFLOW = 2
const ENTER_GETEVENTS = 1
const SETUP_SQE128 = 1 << 10

/**
 * An io_uring. Fill entries at `next()`, `submit()` them together, `drain()` completions when called back. To be used
 * by the thread that made it. What entries point to must be kept until they complete.
 */
export class Ring {
  /** The ring's file descriptor. */
  readonly fd: number
  /** Submission entries there are. */
  readonly entries: number
  /** All submission entries as 32-bit words; {@link Ring.next} says where a free one starts. */
  readonly words: Uint32Array

  readonly #native: Addon
  readonly #handle: number
  readonly #rings: Mapping
  readonly #submissions: Mapping
  readonly #watcher: Watcher
  /** The queues' memory; positions below are indexes into it. */
  readonly #shared: Uint32Array
  /** The same memory, for results, which have a sign. */
  readonly #signed: Int32Array
  readonly #sqHead: number
  readonly #sqTail: number
  readonly #sqFlags: number
  readonly #cqHead: number
  readonly #cqTail: number
  readonly #cqes: number
  readonly #cqMask: number
  /** Words of an entry as a shift. */
  readonly #shift: number
  /** Entries filled, ever (modulo 2 ** 32). */
  #tail: number
  /** Entries that the kernel had taken when last looked at. */
  #taken: number
  /** Completions handled, ever. */
  #head: number
  #retry: NodeJS.Timeout | undefined
  #closed = false

  /**
   * `onCompletions` is called once per turn of the event loop while completions wait. Throws LinuxError: EPERM where
   * io_uring is disabled, ENOSYS where there is none, ENOMEM.
   */
  constructor(options: RingOptions, onCompletions: (ring: Ring) => void) {
    const { entries, wide = false, completions = 0 } = options
    needInteger('entries', entries, 1, 32768)
    needInteger('completions', completions, 0, 65536)
    needFunction('onCompletions', onCompletions)
    const native = addon()
    const ring = native.uringOpen(entries, wide, completions)
    if (typeof ring === 'number') throw setupError(-ring)
    this.#native = native
    this.#handle = ring.handle
    this.#rings = toMapping(ring.rings, ring.rings.buffer.byteLength)
    this.#submissions = toMapping(ring.submissions, ring.submissions.buffer.byteLength)
    this.fd = ring.fd
    this.entries = ring.sqEntries
    this.words = new Uint32Array(ring.submissions.buffer)
    this.#shared = new Uint32Array(ring.rings.buffer)
    this.#signed = new Int32Array(ring.rings.buffer)
    this.#sqHead = ring.sqHead >> 2
    this.#sqTail = ring.sqTail >> 2
    this.#sqFlags = ring.sqFlags >> 2
    this.#cqHead = ring.cqHead >> 2
    this.#cqTail = ring.cqTail >> 2
    this.#cqes = ring.cqes >> 2
    this.#cqMask = ring.cqEntries - 1
    this.#shift = (ring.flags & SETUP_SQE128) === 0 ? 4 : 5
    this.#tail = this.#shared[this.#sqTail]!
    this.#taken = this.#tail
    this.#head = this.#shared[this.#cqHead]!
    // Entry n is always in slot n.
    for (let i = 0; i < ring.sqEntries; i++) this.#shared[(ring.sqArray >> 2) + i] = i
    try {
      this.#watcher = watchReadable(ring.fd, () => onCompletions(this))
    } catch (error) {
      this.#release()
      throw error
    }
  }

  /** Where in `words` a zeroed free entry starts (16 words, 32 when wide); -1 when none is free: submit first. */
  next(): number {
    if ((this.#tail - this.#taken) >>> 0 >= this.entries) {
      if (this.#closed) return -1
      this.#taken = Atomics.load(this.#shared, this.#sqHead)
      if ((this.#tail - this.#taken) >>> 0 >= this.entries) return -1
    }
    const { words } = this
    const start = (this.#tail & (this.entries - 1)) << this.#shift
    const end = start + (1 << this.#shift)
    for (let i = start; i < end; i++) words[i] = 0
    this.#tail = (this.#tail + 1) >>> 0
    return start
  }

  /**
   * Hands all entries since the last call to the kernel, in one system call. What the kernel cannot take now (no
   * memory, too many completions waiting) is tried again soon. Throws LinuxError.
   */
  submit(): void {
    if (this.#closed) return
    const shared = this.#shared
    Atomics.store(shared, this.#sqTail, this.#tail)
    for (;;) {
      const left = (this.#tail - Atomics.load(shared, this.#sqHead)) >>> 0
      if (left === 0) return
      const taken = this.#native.uringEnter(this.#handle, left, 0)
      if (taken > 0 || taken === -EINTR) continue
      if (taken !== 0 && taken !== -EAGAIN && taken !== -EBUSY) throw new LinuxError('io_uring_enter', -taken)
      this.#retry ??= setTimeout(() => {
        this.#retry = undefined
        this.submit()
      }, 1)
      return
    }
  }

  /**
   * Calls `handler` for every completion that waits, in order, and gives their number. `userData` is the low 32 bits
   * of the entry's; `result` is negative for an errno. Handlers may call every method.
   */
  drain(handler: (userData: number, result: number, flags: number) => void): number {
    if (this.#closed) return 0
    const shared = this.#shared
    const signed = this.#signed
    const tail = Atomics.load(shared, this.#cqTail)
    let count = 0
    try {
      // Not `!==`: a handler that drains goes past `tail`.
      while (((tail - this.#head) | 0) > 0 && !this.#closed) {
        const at = this.#cqes + ((this.#head & this.#cqMask) << 2)
        this.#head = (this.#head + 1) >>> 0
        count++
        handler(shared[at]!, signed[at + 2]!, shared[at + 3]!)
      }
    } finally {
      if (!this.#closed) this.#publish()
    }
    return count
  }

  /** Keeps the process alive: the default. */
  ref(): void {
    this.#watcher.ref()
  }

  /** Lets the process end. */
  unref(): void {
    this.#watcher.unref()
  }

  /** Detaches the views and closes the ring; the kernel cancels what is in flight. Twice is fine. */
  close(): void {
    if (this.#closed) return
    this.#watcher.close()
    this.#release()
  }

  #release(): void {
    this.#closed = true
    // So that next() finds no entry.
    this.#taken = (this.#tail - this.entries) >>> 0
    clearTimeout(this.#retry)
    this.#rings.unmap()
    this.#submissions.unmap()
    this.#native.closeHandle(this.#handle)
  }

  #publish(): void {
    Atomics.store(this.#shared, this.#cqHead, this.#head)
    // Completions that found no room are with the kernel until it is asked.
    if ((Atomics.load(this.#shared, this.#sqFlags) & SQ_CQ_OVERFLOW) !== 0) {
      this.#native.uringEnter(this.#handle, 0, ENTER_GETEVENTS)
    }
  }
}

function setupError(errno: number): LinuxError {
  const reason = reasons[errno]
  return new LinuxError('io_uring_setup', errno, reason === undefined ? {} : { reason })
}

const reasons: Record<number, string> = {
  1: 'io_uring is not allowed here: see /proc/sys/kernel/io_uring_disabled and the seccomp profile of the container',
  38: 'this kernel has no io_uring (Linux 5.4 or newer is needed)',
}
