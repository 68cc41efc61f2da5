import { createHmac, randomBytes } from 'node:crypto'
import { inspect } from 'node:util'
import { BlockError } from '@blockbraid/core'
import { describe, expect, it } from 'vitest'
import { GROUPS, HASHES } from '../../src/auth/algorithms.ts'
import { authenticate, authenticator } from '../../src/auth/authenticate.ts'
import type { DhchapCredentials } from '../../src/auth/credentials.ts'
import { dhchapOf } from '../../src/auth/credentials.ts'
import { ffdhePrime } from '../../src/auth/prime.ts'
import { asksToAuthenticate, mustAuthenticate } from '../../src/auth/required.ts'
import { Controller, HOST, type Plan, SUBSYSTEM } from './support/controller.ts'
import { type Peer, play } from './support/play.ts'
import { keyOf, secretText } from './support/secrets.ts'

const hostKey = keyOf(32, 1)
const controllerKey = keyOf(48, 2)
const oneWay: DhchapCredentials = { secret: secretText(hostKey) }
const mutual: DhchapCredentials = { ...oneWay, controllerSecret: secretText(controllerKey) }
const plain: Plan = { hostKey, controllerKey, hash: 'sha256' }
const parties = { hostNqn: HOST, subNqn: SUBSYSTEM }

function run(credentials: DhchapCredentials, peer: Peer, random: (length: number) => Uint8Array = randomBytes) {
  return play(authenticate(dhchapOf('dhchap', credentials), parties, random), peer)
}

async function failure(credentials: DhchapCredentials, peer: Peer, random = randomBytes as never): Promise<BlockError> {
  const error = await run(credentials, peer, random).then(
    () => new Error('it went through'),
    (caught: unknown) => caught,
  )
  expect(error).toBeInstanceOf(BlockError)
  return error as BlockError
}

function primeOf(length: number): bigint | undefined {
  return length === 0 ? undefined : BigInt(`0x${ffdhePrime(length).toString('hex')}`)
}

describe('DH-HMAC-CHAP', () => {
  const small = GROUPS.filter(({ length }) => length <= 384)
  const cases = HASHES.flatMap((hash) => small.map((group) => [hash.name, group] as const))
  cases.push(['sha512', GROUPS.find(({ name }) => name === 'ffdhe8192')!])

  it.each(cases)('both ways with %s and $name', async (hash, { name, id, length }) => {
    const prime = primeOf(length)
    const controller = new Controller({ ...plain, hash, groupId: id, ...(prime === undefined ? {} : { prime }) })
    expect(await run(mutual, controller)).toEqual({ hash, group: name, mutual: true })
    expect(controller.succeeded).toBe(true)
  })

  it('one way: the controller is asked for nothing, and told nothing more', async () => {
    const controller = new Controller(plain)
    expect(await run(oneWay, controller)).toEqual({ hash: 'sha256', group: 'null', mutual: false })
    expect(controller.messages.length).toBe(2)
    const reply = controller.messages[1]!
    expect(reply.length).toBe(16 + 64)
    expect([reply[8], reply.readUInt32LE(12)]).toEqual([0, 0])
    expect(reply.subarray(48).every((byte) => byte === 0)).toBe(true)
  })

  it('keys that are transformed', async () => {
    const transformed = (key: Buffer, hash: string, nqn: string): Buffer =>
      createHmac(hash, key).update(`${nqn}NVMe-over-Fabrics`).digest()
    const plan = {
      ...plain,
      hostKey: transformed(hostKey, 'sha256', HOST),
      controllerKey: transformed(controllerKey, 'sha384', SUBSYSTEM),
    }
    const credentials = { secret: secretText(hostKey, 1), controllerSecret: secretText(controllerKey, 2) }
    expect((await run(credentials, new Controller(plan))).mutual).toBe(true)
  })

  it('offers what the options name, in their order', async () => {
    const controller = new Controller({ ...plain, hash: 'sha512' })
    await run({ ...oneWay, hashes: ['sha512', 'sha256'], groups: ['null', 'ffdhe4096'] }, controller)
    const offer = controller.messages[0]!
    expect(offer.length).toBe(72)
    expect([...offer.subarray(6, 14)]).toEqual([0, 1, 1, 0, 2, 2, 3, 1])
    expect([...offer.subarray(42, 44)]).toEqual([0, 3])
  })

  it('sends the commands of the standard', async () => {
    const seen: Uint8Array[] = []
    await play(authenticate(dhchapOf('dhchap', oneWay), parties, randomBytes), new Controller(plain), seen)
    const facts = seen.map((sqe) => [sqe[0], sqe[4], sqe[41], sqe[42], sqe[43], Buffer.from(sqe).readUInt32LE(44)])
    expect(facts).toEqual([
      [0x7f, 5, 1, 1, 0xe9, 72],
      [0x7f, 6, 1, 1, 0xe9, 4096],
      [0x7f, 5, 1, 1, 0xe9, 80],
      [0x7f, 6, 1, 1, 0xe9, 4096],
    ])
  })

  it('never asks with sequence number 0, which would ask for nothing', async () => {
    const controller = new Controller(plain)
    const zeroes = (length: number): Uint8Array => (length === 4 ? new Uint8Array(4) : randomBytes(length))
    expect((await run(mutual, controller, zeroes)).mutual).toBe(true)
    expect(controller.messages[1]!.readUInt32LE(12)).toBe(1)
  })
})

describe('wrong secrets', () => {
  it('of the host: the controller refuses it', async () => {
    const error = await failure(oneWay, new Controller({ ...plain, hostKey: keyOf(32, 9) }))
    expect([error.code, error.message]).toEqual([
      'DENIED',
      'authentication: the controller refuses this host: the proof is wrong: the secret of this host at the target is another, or it has none',
    ])
  })

  it('of the controller: it is refused, and told so', async () => {
    const controller = new Controller({ ...plain, controllerKey: keyOf(48, 9) })
    const error = await failure(mutual, controller)
    expect(error.message).toBe('authentication: the controller does not know dhchap.controllerSecret')
    expect([error.code, controller.failure2, controller.succeeded]).toEqual(['DENIED', 1, false])
  })

  it('a controller that gives no proof is not taken for one that has', async () => {
    const { controllerKey: _, ...without } = plain
    const controller = new Controller(without)
    const error = await failure(mutual, controller)
    expect(error.message).toBe('authentication: the controller gives no proof of itself')
    expect([error.code, controller.failure2, controller.succeeded]).toEqual(['DENIED', 1, false])
  })

  it('a challenge of ours is not taken for one of the controller', async () => {
    const bytes = Buffer.alloc(64, 7)
    const error = await failure(mutual, new Controller({ ...plain, challenge: bytes.subarray(0, 32) }), ((
      length: number,
    ) => bytes.subarray(0, length)) as never)
    expect(error.message).toBe('authentication: the controller reflects our own challenge')
  })

  it('are in no error', async () => {
    const plans: Plan[] = [
      { ...plain, hostKey: keyOf(32, 9) },
      { ...plain, controllerKey: keyOf(48, 9) },
      { ...plain, change: (message) => message.subarray(0, 9) },
    ]
    for (const plan of plans) {
      const told = inspect(await failure(mutual, new Controller(plan)), { depth: 9, showHidden: true })
      for (const secret of [hostKey, controllerKey, plan.controllerKey!]) {
        expect(told).not.toContain(secret.toString('base64').slice(0, 12))
        expect(told).not.toContain(secret.toString('hex').slice(0, 12))
      }
    }
  })
})

/** Changes bytes of the message with this AUTH_ID. */
function altered(id: number, change: (message: Buffer) => Buffer | number): Required<Plan>['change'] {
  return (message) => (message[1] === id ? change(Buffer.from(message)) : message)
}

function put(at: number, ...bytes: number[]): (message: Buffer) => Buffer {
  return (message) => {
    message.set(bytes, at)
    return message
  }
}

describe('a controller that does not keep to what was offered', () => {
  const only: DhchapCredentials = { ...mutual, hashes: ['sha384'], groups: ['ffdhe2048', 'ffdhe3072'] }
  const prime = primeOf(256)!
  const right: Plan = { ...plain, hash: 'sha384', groupId: 1, prime }

  it.each([
    ['chooses another hash', put(8, 1), 4, 'the controller chose hash 1, which was not offered'],
    ['chooses no group', put(9, 0, 0, 0), 5, 'the controller chose group 0, which was not offered'],
    ['chooses another group', put(9, 5), 5, 'the controller chose group 5, which was not offered'],
    ['chooses a group that nobody knows', put(9, 99), 5, 'chose group 99'],
    ['gives a wrong hash length', put(6, 32), 4, 'the controller says that sha384 has 32 bytes'],
    [
      'gives a public value of 0',
      (m: Buffer) => m.fill(0, 64),
      6,
      "the controller's public value is none of ffdhe2048",
    ],
    ['gives a public value of 1', (m: Buffer) => put(319, 1)(m.fill(0, 64)), 6, 'is none of ffdhe2048'],
    [
      'gives the prime less 1',
      (m: Buffer) => put(64, ...ffdhePrime(256).fill(0xfe, 255))(m),
      6,
      'is none of ffdhe2048',
    ],
    ['gives no public value', put(10, 0, 0), 6, 'is none of ffdhe2048'],
    ['gives one of another group', put(9, 2), 6, ''],
    ['says more than it sends', put(10, 255, 255), 6, 'the challenge is cut off'],
  ])('%s', async (_, change, explanation, message) => {
    const controller = new Controller({ ...right, change: altered(1, change) })
    const error = await failure(only, controller)
    if (message !== '') expect(error.message).toContain(message)
    if (message !== '') expect([error.code, controller.failure2]).toEqual(['PROTOCOL', explanation])
    expect(controller.succeeded).toBe(false)
  })

  it('a public value where no group was chosen', async () => {
    const change = altered(1, (m) => Buffer.concat([put(10, 4, 0)(m), Buffer.alloc(4, 1)]))
    const controller = new Controller({ ...plain, change })
    expect((await failure(oneWay, controller)).message).toContain('a public value came, and no group was chosen')
  })

  it.each([
    ['another transaction', 1, put(4, 1), 'of another transaction came where message 0101h had to'],
    ['success before a challenge', 1, put(1, 3), 'message 0103h came where message 0101h had to'],
    ['a challenge for success', 3, put(1, 1), 'message 0101h came where message 0103h had to'],
    ['a message of the host', 3, put(1, 2), 'message 0102h came where message 0103h had to'],
    ['nothing', 3, () => Buffer.alloc(0), '0 bytes came where message 0103h had to'],
    ['a response of another length', 3, put(6, 48), 'Success1 has a wrong length'],
    ['a refused command', 1, () => 0x4002, 'Authentication Receive failed'],
  ])('%s', async (_, id, change, message) => {
    const error = await failure(mutual, new Controller({ ...plain, change: altered(id, change as never) }))
    expect(error.message).toContain(message)
  })

  it.each([
    [1, 'the proof is wrong'],
    [2, 'it does not take DH-HMAC-CHAP'],
    [3, 'it wants a secure channel'],
    [4, 'it takes none of the hashes that were offered (dhchap.hashes)'],
    [5, 'it takes none of the Diffie-Hellman groups that were offered (dhchap.groups)'],
    [6, 'it found a field of a message wrong'],
    [7, 'it expected another message'],
    [200, 'it gives explanation 200, which the standard does not have'],
  ])('says why it refuses: %i', async (explanation, words) => {
    const change = altered(1, () => Buffer.from([0, 0xf1, 0, 0, 0, 0, 1, explanation]))
    const error = await failure(oneWay, new Controller({ ...plain, change }))
    expect([error.code, error.message.includes(words)]).toEqual(['DENIED', true])
  })

  it('a queue that is lost while the host gives up does not hide why', async () => {
    const controller = new Controller({ ...plain, change: altered(1, put(8, 9)) })
    const send = controller.send.bind(controller)
    controller.send = (message) => {
      if (message[1] === 0xf0) throw new BlockError('CONNECT_FAILED', 'lost')
      return send(message)
    }
    expect((await failure(oneWay, controller)).message).toContain('hash 9')
  })
})

describe('messages of a controller', () => {
  it.each([
    ['the challenge', 1],
    ['success', 3],
  ])('%s, cut at every length', async (_, id) => {
    for (let length = 0; ; length++) {
      let whole = 0
      const change = altered(id, (message) => {
        whole = message.length
        return message.subarray(0, length)
      })
      const controller = new Controller({ ...plain, change })
      if (length > 0 && whole === length) break
      const done = await run(mutual, controller).then(
        () => true,
        (error: unknown) => {
          expect(error).toBeInstanceOf(BlockError)
          return false
        },
      )
      if (done) {
        expect(length).toBe(whole)
        break
      }
    }
  })

  it('with any bytes in them end in an error that is ours, or in peace', async () => {
    let seed = 20261126
    const next = (below: number): number => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0
      return seed % below
    }
    const credentials: DhchapCredentials = { ...mutual, groups: ['null'] }
    let peaceful = 0
    for (let round = 0; round < 4000; round++) {
      const change = (message: Buffer): Buffer => {
        const bytes = Buffer.from(message)
        const count = next(3)
        for (let n = 0; n < count; n++) bytes[next(bytes.length)] = next(256)
        return next(8) === 0 ? bytes.subarray(0, next(bytes.length)) : bytes
      }
      const controller = new Controller({ ...plain, change })
      try {
        await run(credentials, controller)
        peaceful++
        expect(controller.succeeded).toBe(true)
      } catch (error) {
        expect(error).toBeInstanceOf(BlockError)
      }
    }
    expect(peaceful).toBeGreaterThan(0)
  })
})

describe('a queue authenticates', () => {
  const [ours, both] = [dhchapOf('dhchap', oneWay), dhchapOf('dhchap', mutual)]

  it.each([
    ['where the controller asks for it', ours, 0x2_0001, 0, SUBSYSTEM, true],
    ['on an I/O queue, too', ours, 0x2_0001, 3, SUBSYSTEM, true],
    ['not where nobody wants it', ours, 1, 0, SUBSYSTEM, false],
    ['unasked where the controller must prove who it is', both, 1, 0, SUBSYSTEM, true],
    ['but once for all queues', both, 1, 3, SUBSYSTEM, false],
    ['and not at discovery', both, 1, 0, 'nqn.2014-08.org.nvmexpress.discovery', false],
  ])('%s', async (_, dhchap, connected, queue, subNqn, done) => {
    const controller = new Controller(plain)
    const on = authenticator(dhchap, { hostNqn: HOST, subNqn }, randomBytes)
    const proof = await play(on(connected, queue), controller)
    expect([proof !== undefined, controller.messages.length > 0]).toEqual([done, done])
  })

  it('not where a secure channel is wanted', () => {
    expect(() => mustAuthenticate(0x4_0001, false)).toThrow('wants a secure channel made of the authentication')
    expect(() => mustAuthenticate(0x6_0001, true)).toThrow('AUTHREQ.ASCR')
    expect([0x2_0001, 0x4_0001, 0x1_0001, 1].map(asksToAuthenticate)).toEqual([true, true, false, false])
  })
})

describe('credentials', () => {
  it.each([
    [undefined, 'options.dhchap must have a secret'],
    [{}, 'options.dhchap.secret must be a text'],
    [{ ...oneWay, user: 'x' }, 'options.dhchap.user is unknown'],
    [{ ...oneWay, controllerSecret: oneWay.secret }, 'controllerSecret must differ from options.dhchap.secret'],
    [{ ...oneWay, controllerSecret: secretText(hostKey, 2) }, 'controllerSecret must differ'],
    [{ ...oneWay, hashes: [] }, 'options.dhchap.hashes must be a list of sha256, sha384, sha512, each once'],
    [{ ...oneWay, hashes: ['md5'] }, 'options.dhchap.hashes must be a list'],
    [{ ...oneWay, groups: ['null', 'null'] }, 'options.dhchap.groups must be a list of ffdhe2048'],
    [{ ...oneWay, groups: 'null' }, 'options.dhchap.groups must be a list'],
  ])('that are wrong are refused by name: %#', (value, message) => {
    expect(() => dhchapOf('dhchap', value as never)).toThrow(message)
  })
})
