import type { Agreed, TargetKeys } from './keys.ts'
import { declarations, defaultsAgreed, irrelevantInDiscovery, operationalKeys, ownOffers } from './keys.ts'

/** The target's side of the operational stage of one login (RFC 7143 §6.2, §13). */
export class Negotiation {
  readonly agreed: Agreed = defaultsAgreed()
  /** Whether the last answer has offers of the target, to which the initiator still has to say something. */
  offered = false
  readonly #keys: TargetKeys
  readonly #asked = new Set<string>()
  readonly #offers = new Set<string>()
  #declared = false

  constructor(keys: TargetKeys) {
    this.#keys = keys
  }

  /** Takes the keys of a request, and adds what they are answered with; false where one is negotiated twice. */
  answer(pairs: ReadonlyMap<string, string>, discovery: boolean, answers: [string, string][]): boolean {
    this.offered = false
    for (const [key, value] of pairs) {
      if (declarations.has(key)) continue
      const rule = operationalKeys[key]
      const reoffered = this.#asked.has(key) && !this.#offers.has(key)
      if (reoffered && rule !== undefined) return false
      this.#asked.add(key)
      const answer =
        rule === undefined
          ? 'NotUnderstood'
          : discovery && irrelevantInDiscovery.has(key)
            ? 'Irrelevant'
            : rule(value, this.agreed, this.#keys)
      if (this.#offers.has(key) || answer === undefined) continue
      answers.push([key, answer])
    }
    this.#boundFirstBurst(answers)
    if (!this.#declared) this.#declare(discovery, answers)
    return true
  }

  // What the target says without being asked, once.
  #declare(discovery: boolean, answers: [string, string][]): void {
    const keys = this.#keys
    this.#declared = true
    answers.push(['MaxRecvDataSegmentLength', String(keys.maxRecvDataSegmentLength)])
    const offers = discovery ? [] : ownOffers(keys, this.agreed, this.#asked)
    for (const [key, value] of offers) {
      this.offered = true
      this.#offers.add(key)
      answers.push([key, value])
    }
  }

  // The first burst is never longer than any other (RFC 7143 §13.14), whichever key came first.
  #boundFirstBurst(answers: [string, string][]): void {
    const { agreed } = this
    const answer = answers.find(([key]) => key === 'FirstBurstLength')
    if (answer === undefined || agreed.firstBurstLength <= agreed.maxBurstLength) return
    agreed.firstBurstLength = agreed.maxBurstLength
    answer[1] = String(agreed.firstBurstLength)
  }
}
