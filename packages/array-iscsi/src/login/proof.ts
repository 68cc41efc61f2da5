import { randomBytes } from 'node:crypto'
import type { ChapAlgorithm, IscsiChap } from './chap.ts'
import { chapNumbers, chapResponse, parseBinary, sameBytes } from './chap.ts'

/** The target's side of CHAP in one login (RFC 7143 §12.1.3): asks for a proof, checks it, and gives its own. */
export class Proof {
  /** Whether the initiator has proved itself. */
  given = false
  readonly #chap: IscsiChap | undefined
  #algorithm: ChapAlgorithm | undefined
  #id = 0
  #challenge: Buffer = Buffer.alloc(0)

  constructor(chap: IscsiChap | undefined) {
    this.#chap = chap
  }

  /** Takes the keys of a request, and adds what they are answered with; false where the login fails. */
  answer(pairs: ReadonlyMap<string, string>, answers: [string, string][]): boolean {
    const offered = pairs.get('CHAP_A')
    if (offered !== undefined) return this.#ask(offered, answers)
    const response = pairs.get('CHAP_R')
    if (response === undefined) return true
    const chap = this.#chap
    if (chap === undefined || this.#algorithm === undefined) return false
    const right = chapResponse(this.#algorithm, this.#id, chap.secret, this.#challenge)
    if (pairs.get('CHAP_N') !== chap.user || !sameBytes(parseBinary(response) ?? Buffer.alloc(0), right)) return false
    const [id, challenge] = [pairs.get('CHAP_I'), pairs.get('CHAP_C')]
    if (id !== undefined || challenge !== undefined) {
      const bytes = parseBinary(challenge ?? '')
      const reflected = bytes !== undefined && sameBytes(bytes, this.#challenge)
      if (chap.target === undefined || bytes === undefined || reflected || !/^\d{1,3}$/.test(id ?? '')) return false
      const proof = chapResponse(this.#algorithm, Number(id), chap.target.secret, bytes)
      answers.push(['CHAP_N', chap.target.user], ['CHAP_R', `0x${proof.toString('hex')}`])
    }
    this.given = true
    return true
  }

  #ask(offered: string, answers: [string, string][]): boolean {
    const allowed: readonly string[] = this.#chap?.algorithms ?? [...chapNumbers.values()]
    const chosen = offered.split(',').find((one) => allowed.includes(chapNumbers.get(one) ?? ''))
    if (this.#chap === undefined || chosen === undefined) return false
    this.#algorithm = chapNumbers.get(chosen)!
    this.#id = randomBytes(1)[0]!
    this.#challenge = randomBytes(16)
    answers.push(['CHAP_A', chosen], ['CHAP_I', String(this.#id)])
    answers.push(['CHAP_C', `0x${this.#challenge.toString('hex')}`])
    return true
  }
}
