import type { Attempt } from './attempt.ts'
import type { Deadlines } from './deadlines/deadlines.ts'
import type { Aside } from './health/aside.ts'
import type { Hedging } from './hedging/hedging.ts'
import type { PathEntry } from './path-entry.ts'
import type { Tier } from './tier.ts'
import type { FlowTrace } from './trace/flow-trace.ts'

/** What it asks of the flow. */
export interface EscortedFlow {
  readonly tier: Tier
  readonly deadlines: Deadlines
  readonly hedging: Hedging | null
  readonly trace: FlowTrace | null
}

/** What is to be done for an I/O that is sent, but to send it. */
export class Escort {
  /** Whether anything is: one test for all that may be off. */
  wanted = true
  readonly #flow: EscortedFlow
  #aside: Aside | null = null

  constructor(flow: EscortedFlow) {
    this.#flow = flow
  }

  /** Changes who takes a few reads beside the tier; null: nobody. */
  setAside(aside: Aside | null): void {
    this.#aside = aside
    this.look()
  }

  /** What the flow has may have changed. */
  look(): void {
    const { deadlines, hedging, trace } = this.#flow
    this.wanted = this.#aside !== null || trace !== null || hedging !== null || !deadlines.looks
  }

  /** One is about to go to `entry`, where the policy wanted `wanted`; returns where it goes. */
  go(attempt: Attempt, wanted: PathEntry, entry: PathEntry): PathEntry {
    const { tier, deadlines, hedging, trace } = this.#flow
    const taken = this.#aside === null ? entry : this.#aside.divert(attempt, entry, attempt.started)
    trace?.picked(attempt, wanted, taken, tier.entries)
    deadlines.start()
    hedging?.sent(attempt, taken)
    return taken
  }
}
