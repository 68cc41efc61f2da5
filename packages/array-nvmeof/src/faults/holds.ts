import type { Request, RequestHold } from '../request/request.ts'
import type { Rule } from './rules.ts'
import type { CommandRule, NvmeHold } from './types.ts'

/** What a rule for commands holds. */
export class Hold implements NvmeHold, RequestHold {
  readonly #rule: Rule<CommandRule>
  readonly #removed: () => void
  #held: Request[] = []

  constructor(rule: Rule<CommandRule>, removed: () => void) {
    this.#rule = rule
    this.#removed = removed
  }

  get hits(): number {
    return this.#rule.hits
  }

  get held(): number {
    return this.#held.length
  }

  /** Keeps a request. */
  hold(request: Request): void {
    request.held = this
    this.#held.push(request)
  }

  forget(request: Request): void {
    request.held = null
    this.#held = this.#held.filter((one) => one !== request)
  }

  /** Throws away what it holds of a controller; returns how much that is. */
  drop(controller: object): number {
    const all = this.#held.filter((request) => request.controller === controller)
    for (const request of all) {
      this.forget(request)
      request.queue!.release(request)
    }
    return all.length
  }

  release(): void {
    const held = this.#held
    this.#held = []
    for (const request of held) {
      request.held = null
      request.queue!.execute(request)
    }
  }

  remove(): void {
    this.#rule.remove()
    this.#removed()
    this.release()
  }
}
