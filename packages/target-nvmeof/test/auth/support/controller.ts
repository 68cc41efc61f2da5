import { createHash, createHmac, randomBytes } from 'node:crypto'
import type { Peer } from './play.ts'
import { power } from './power.ts'

export const HOST = 'nqn.2014-08.org.nvmexpress:uuid:2cd2c43b-a90a-45c1-a8cd-86b33ab273b5'
export const SUBSYSTEM = 'nqn.2026-11.io.blockbraid:array1'

/** What a {@link Controller} knows and does. */
export interface Plan {
  /** Keys as they are used, and the hash and group that it chooses. */
  hostKey: Buffer
  controllerKey?: Buffer
  hash: 'sha256' | 'sha384' | 'sha512'
  prime?: bigint
  groupId?: number
  /** Changes a message before it is sent. */
  change?: (message: Buffer) => Buffer | number
  challenge?: Buffer
}

const ids = { sha256: 1, sha384: 2, sha512: 3 }

/** The controller's side as the standard has it, apart from the sources: numbers of any size instead of OpenSSL's. */
export class Controller implements Peer {
  readonly messages: Buffer[] = []
  /** What the host gave up with. */
  failure2: number | undefined
  succeeded = false
  readonly #plan: Plan
  readonly #secret = BigInt(`0x${randomBytes(32).toString('hex')}`)
  readonly #challenge: Buffer
  readonly #length: number
  #next: Buffer = Buffer.alloc(0)

  constructor(plan: Plan) {
    this.#plan = plan
    this.#length = createHash(plan.hash).digest().length
    this.#challenge = plan.challenge ?? randomBytes(this.#length)
  }

  receive(): Buffer | number {
    return this.#plan.change?.(this.#next) ?? this.#next
  }

  send(message: Buffer): number {
    this.messages.push(message)
    const transaction = message.readUInt16LE(4)
    switch (message.readUInt16BE(0)) {
      case 0x0000:
        this.#next = this.#ask(transaction)
        break
      case 0x0102:
        this.#next = this.#answer(message, transaction)
        break
      case 0x0104:
        this.succeeded = true
        break
      case 0x00f0:
        this.failure2 = message[7]!
        break
      default:
        return 0x4002
    }
    return 0
  }

  #ask(transaction: number): Buffer {
    const { hash, prime, groupId = 0 } = this.#plan
    const size = prime === undefined ? 0 : prime.toString(16).length / 2
    const head = Buffer.from([1, 1, 0, 0, 0, 0, this.#length, 0, ids[hash], groupId, 0, 0, 0x11, 0x22, 0x33, 0x84])
    head.writeUInt16LE(transaction, 4)
    head.writeUInt16LE(size, 10)
    const value = prime === undefined ? '' : power(2n, this.#secret, prime).toString(16)
    return Buffer.concat([head, this.#challenge, Buffer.from(value.padStart(2 * size, '0'), 'hex')])
  }

  #answer(reply: Buffer, transaction: number): Buffer {
    const { hash, prime, hostKey, controllerKey } = this.#plan
    const length = this.#length
    const [response, theirs] = [reply.subarray(16, 16 + length), reply.subarray(16 + length, 16 + 2 * length)]
    let key = Buffer.alloc(0)
    if (prime !== undefined) {
      const value = BigInt(`0x${reply.subarray(16 + 2 * length).toString('hex')}`)
      const shared = power(value, this.#secret, prime).toString(16).padStart(prime.toString(16).length, '0')
      key = createHash(hash).update(Buffer.from(shared, 'hex')).digest()
    }
    const grown = (challenge: Buffer): Buffer =>
      prime === undefined ? challenge : createHmac(hash, key).update(challenge).digest()
    const tid = Buffer.alloc(3)
    tid.writeUInt16LE(transaction)
    const right = createHmac(hash, hostKey).update(
      Buffer.concat([
        grown(this.#challenge),
        Buffer.from([0x11, 0x22, 0x33, 0x84]),
        tid,
        Buffer.from(`HostHost${HOST}\0${SUBSYSTEM}`),
      ]),
    )
    if (!right.digest().equals(response)) return Buffer.from([0, 0xf1, 0, 0, tid[0]!, tid[1]!, 1, 1])
    const head = Buffer.from([1, 3, 0, 0, tid[0]!, tid[1]!, length, 0, 0, 0, 0, 0, 0, 0, 0, 0])
    if (reply[8] !== 1) return head
    if (controllerKey === undefined) return head
    head[8] = 1
    const own = createHmac(hash, controllerKey).update(
      Buffer.concat([grown(theirs), reply.subarray(12, 16), tid, Buffer.from(`Controller${SUBSYSTEM}\0${HOST}`)]),
    )
    return Buffer.concat([head, own.digest()])
  }
}
