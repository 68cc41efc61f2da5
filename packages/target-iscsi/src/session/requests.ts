import type { Clock } from '@blockbraid/core'
import { BlockError } from '@blockbraid/core'

/** The answer to a request other than a SCSI command. */
export interface RequestAnswer {
  readonly header: Buffer
  readonly data: Buffer
}

interface Waiting {
  resolve(answer: RequestAnswer): void
  reject(error: Error): void
}

// Tags of tasks have this bit clear.
const TAG_BIT = 0x8000_0000

/** Tag of a ping, whose answer nobody waits for. */
export const PING_TAG = TAG_BIT

/** Requests other than SCSI commands that wait for an answer: ping, text, task management, logout. */
export class Requests {
  readonly #clock: Clock
  readonly #waiting = new Map<number, Waiting>()
  #last = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** Begins one, or goes on with that of `tag`: `send` is called with its tag. Rejects with TIMED_OUT after `timeout` ms. */
  ask(what: string, timeout: number, send: (tag: number) => void, tag = this.#newTag()): Promise<RequestAnswer> {
    return new Promise<RequestAnswer>((resolve, reject) => {
      const timer = this.#clock.after(timeout, () => {
        this.#waiting.delete(tag)
        reject(new BlockError('TIMED_OUT', `no answer to ${what} within ${timeout} ms`))
      })
      this.#waiting.set(tag, {
        resolve(answer) {
          timer.cancel()
          resolve(answer)
        },
        reject(error) {
          timer.cancel()
          reject(error)
        },
      })
      send(tag)
    })
  }

  #newTag(): number {
    this.#last = (this.#last % 0x7fff_fffe) + 1
    return (TAG_BIT | this.#last) >>> 0
  }

  /** Whether a tag is of this kind. */
  owns(tag: number): boolean {
    return tag >= TAG_BIT
  }

  /** An answer has come; one that nobody waits for any more is let go. */
  answer(tag: number, header: Buffer, data: Buffer): void {
    const waiting = this.#waiting.get(tag)
    this.#waiting.delete(tag)
    waiting?.resolve({ header, data })
  }

  /** Ends one with an error. */
  fail(tag: number, error: Error): void {
    const waiting = this.#waiting.get(tag)
    this.#waiting.delete(tag)
    waiting?.reject(error)
  }

  /** Ends all with an error. */
  failAll(error: Error): void {
    for (const tag of [...this.#waiting.keys()]) this.fail(tag, error)
  }
}
