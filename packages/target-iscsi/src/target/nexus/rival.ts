import type { Clock } from '@blockbraid/core'
import { BlockError } from '@blockbraid/core'

/** A session that the target ends sooner than this, milliseconds, may have been taken. */
const SHORT = 60_000
/** So many of them in a row are no accident. */
const SEVERAL = 3
/** The same for one that is ended so soon, milliseconds: what was just started may end with it, and never see another. */
const AT_ONCE = 1000

/**
 * Finds out that another initiator of our name takes our sessions: a login under one session id ends the session that
 * the other one has (RFC 7143 §6.3.5), so that two of them end each other's for ever, and each login succeeds.
 */
export class Rival {
  readonly #clock: Clock
  readonly #name: string
  #since = 0
  #ended = 0

  constructor(clock: Clock, name: string) {
    this.#clock = clock
    this.#name = name
  }

  /** A login has succeeded. */
  opened(): void {
    this.#since = this.#clock.now()
  }

  /** A login has failed: another initiator does not keep us from logging in. */
  refused(): void {
    this.#ended = 0
  }

  /** The target has ended the session: the error, with what is behind it where that is known by now. */
  explain(error: BlockError): BlockError {
    // A target that lets another initiator in closes; links and ports that come and go, and targets that die, reset.
    if (isReset(error.cause)) return error
    const life = this.#clock.now() - this.#since
    this.#ended = life < SHORT * 1000 ? this.#ended + 1 : 1
    if (this.#ended < SEVERAL && life >= AT_ONCE * 1000) return error
    // Without a number: what is said again and again is said in the same words.
    const why =
      'the target ends sessions soon after their login, as it does where another initiator ' +
      `named ${this.#name} logs in: give each agent an initiator name of its own`
    const explained = new BlockError(error.code, `${error.message}; ${why}`, { cause: error.cause })
    if (this.#ended >= SEVERAL) rivalries.add(explained)
    return explained
  }
}

function isReset(cause: unknown): boolean {
  return cause instanceof Error && 'code' in cause && cause.code === 'ECONNRESET'
}

const rivalries = new WeakSet<Error>()

/** Whether the end of a session was put down to another initiator. */
export function isRivalry(error: Error): boolean {
  return rivalries.has(error)
}
