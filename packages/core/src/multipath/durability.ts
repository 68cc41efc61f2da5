import type { Clock } from '../clock.ts'
import type { Io } from '../io.ts'
import { changesData, IoFlag, IoOp } from '../io.ts'
import type { IoSource } from '../io-source.ts'
import type { IoStatus } from '../status.ts'
import { Errno, OK } from '../status.ts'
import type { Attempt } from './attempt.ts'
import { Apart } from './attempt.ts'
import { Losses } from './losses.ts'

/** What of that which was acknowledged is not durable, and what the storage has lost of it. */
export class Durability {
  readonly #clock: Clock
  readonly #attempts: readonly Attempt[]
  readonly #losses = new Losses()

  constructor(clock: Clock, attempts: readonly Attempt[]) {
    this.#clock = clock
    this.#attempts = attempts
  }

  /** How many changes were acknowledged that were not durable by themselves: what a flush that begins now covers. */
  get written(): number {
    return this.#losses.written
  }

  /** A change or a flush has succeeded; how it ends: a flush that would hide that something is gone fails. */
  ended({ covers, doomed }: Attempt, { op, flags, source }: Io): IoStatus {
    if (op === IoOp.Flush) {
      this.#losses.flushed(covers)
      return this.#losses.count > 0 && this.#losses.tells(source) ? Errno.EIO : OK
    }
    if ((flags & IoFlag.Fua) === 0) this.#losses.written++
    return doomed ? Errno.EIO : OK
  }

  /** A source that had changed data has gone. */
  left(source: IoSource): void {
    this.#losses.left(source)
  }

  /** A process before may have left what no flush has covered. */
  inherit(): void {
    this.#losses.inherit()
  }

  /** The storage says that its volatile cache is gone; returns whether anything was in it that no flush had covered. */
  cacheLost(): boolean {
    let open = false
    for (const attempt of this.#attempts) {
      const { parent, slot, io } = attempt
      if (parent === null || slot === null || !changesData(io.op)) continue
      if ((io.flags & IoFlag.Fua) === 0) open = true
      // In front of its path it is a write and then a flush, and that may come too late.
      else if (slot.entry.path?.limits.fua === false) attempt.doomed = true
    }
    return this.#losses.lost(this.#clock.now(), open)
  }

  /** From now on some path cannot do Fua: it may have made nothing durable of what is in flight. */
  fuaOff(): void {
    for (const attempt of this.#attempts) {
      const { parent, slot, io } = attempt
      if (parent !== null && slot !== null && (io.flags & IoFlag.Fua) !== 0) {
        if (changesData(io.op)) attempt.apart = Apart.Unsure
      }
    }
  }

  /** From now on the storage has a volatile cache: what came before is durable. */
  cacheOn(): void {
    this.#losses.flushed(this.#losses.written)
  }

  /** Whether something was acknowledged that no flush has covered. */
  get unflushed(): boolean {
    return this.#losses.open
  }

  /** Whether the storage has ever lost anything of that. */
  get hasLost(): boolean {
    return this.#losses.count > 0
  }
}
