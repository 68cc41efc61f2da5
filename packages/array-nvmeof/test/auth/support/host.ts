import { createHash, createHmac, randomBytes } from 'node:crypto'
import { crc32 } from 'node:zlib'
import type { QueueAuth } from '../../../src/auth/queue-auth.ts'

export const HOST = 'nqn.2014-08.org.nvmexpress:uuid:2cd2c43b-a90a-45c1-a8cd-86b33ab273b5'
export const SUBSYSTEM = 'nqn.2026-11.io.blockbraid:array1'

/** A secret in the form `DHHC-1:HH:BASE64:`. */
export function secretText(key: Buffer, form = 0): string {
  const sum = Buffer.alloc(4)
  sum.writeUInt32LE(crc32(key))
  return `DHHC-1:0${form}:${Buffer.concat([key, sum]).toString('base64')}:`
}

/** What a {@link Host} does. */
export interface HostPlan {
  key: Buffer
  controllerKey?: Buffer
  hashes?: number[]
  groups?: number[]
  /** By the group's identifier. */
  primes?: Record<number, bigint>
  /** Changes a message before it is sent. */
  change?: (message: Buffer) => Buffer
}

const NAMES = ['', 'sha256', 'sha384', 'sha512']

/** The host's side as the standard has it, apart from the sources. */
export class Host {
  readonly transaction = randomBytes(2)
  challenge: Buffer = Buffer.alloc(0)
  readonly #plan: HostPlan
  readonly #auth: QueueAuth

  constructor(auth: QueueAuth, plan: HostPlan) {
    this.#auth = auth
    this.#plan = plan
  }

  send(message: Buffer): Promise<void> {
    return this.#auth.send(this.#plan.change?.(message) ?? message)
  }

  message(id: number, rest: Buffer): Buffer {
    return Buffer.concat([Buffer.from([id >> 8, id & 255, 0, 0]), this.transaction, rest])
  }

  negotiate(): Promise<void> {
    const { hashes = [1, 2, 3], groups = [0, 1, 2, 3, 4, 5] } = this.#plan
    const lists = [
      Buffer.from(hashes),
      Buffer.alloc(30 - hashes.length),
      Buffer.from(groups),
      Buffer.alloc(30 - groups.length),
    ]
    return this.send(
      this.message(0, Buffer.concat([Buffer.from([0, 1, 1, 0, hashes.length, groups.length]), ...lists])),
    )
  }

  /** The whole of it: 'proved', 'mutual', 'wrong proof', or the explanation of the failure that it was told. */
  async run(): Promise<string | number> {
    await this.negotiate()
    const asked = await this.#auth.receive(4096)
    if (asked === undefined) return 'nothing'
    if (asked[1] === 0xf1) return asked[7]!
    const name = NAMES[asked[8]!]!
    const length = asked[6]!
    const size = asked.readUInt16LE(10)
    const theirs = asked.subarray(16 + length, 16 + length + size)
    const prime = this.#plan.primes?.[asked[9]!]
    const mine = BigInt(`0x${randomBytes(32).toString('hex')}`)
    const [value, shared] =
      prime === undefined
        ? [Buffer.alloc(0), undefined]
        : [power(2n, mine, prime, size), power(BigInt(`0x${theirs.toString('hex')}`), mine, prime, size)]
    const grown = (challenge: Buffer): Buffer =>
      shared === undefined
        ? challenge
        : createHmac(name, createHash(name).update(shared).digest()).update(challenge).digest()
    const tid = Buffer.concat([this.transaction, Buffer.alloc(1)])
    const response = createHmac(name, this.#plan.key)
      .update(
        Buffer.concat([
          grown(asked.subarray(16, 16 + length)),
          asked.subarray(12, 16),
          tid,
          Buffer.from(`HostHost${HOST}\0${SUBSYSTEM}`),
        ]),
      )
      .digest()
    const { controllerKey } = this.#plan
    this.challenge = controllerKey === undefined ? Buffer.alloc(length) : randomBytes(length)
    const head = Buffer.from([length, 0, controllerKey === undefined ? 0 : 1, 0, 0, 0, 9, 8, 7, 6])
    head.writeUInt16LE(size, 4)
    await this.send(this.message(0x102, Buffer.concat([head, response, this.challenge, value])))
    const answer = await this.#auth.receive(4096)
    if (answer === undefined) return 'nothing'
    if (answer[1] === 0xf1) return answer[7]!
    if (controllerKey === undefined) return 'proved'
    const right = createHmac(name, controllerKey)
      .update(
        Buffer.concat([
          grown(this.challenge),
          Buffer.from([9, 8, 7, 6]),
          tid,
          Buffer.from(`Controller${SUBSYSTEM}\0${HOST}`),
        ]),
      )
      .digest()
    if (!right.equals(answer.subarray(16, 16 + length))) return 'wrong proof'
    await this.send(this.message(0x104, Buffer.alloc(10)))
    return 'mutual'
  }
}

/** base ** exponent modulo `modulus`, in `length` bytes. */
export function power(base: bigint, exponent: bigint, modulus: bigint, length: number): Buffer {
  let result = 1n
  let square = base
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest & 1n) result = (result * square) % modulus
    square = (square * square) % modulus
  }
  return Buffer.from(result.toString(16).padStart(2 * length, '0'), 'hex')
}
