import { createHash, createHmac, randomBytes } from 'node:crypto'
import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { GROUP_NAMES, groupId, keyPair, primeOf } from '../../src/auth/groups.ts'
import { HASH_NAMES } from '../../src/auth/hashes.ts'
import { authPlan, type NvmeAuthOptions } from '../../src/auth/options.ts'
import { QueueAuth } from '../../src/auth/queue-auth.ts'
import { HOST, Host, type HostPlan, SUBSYSTEM, secretText } from './support/host.ts'

const key = Buffer.from(Array.from({ length: 32 }, (_, at) => at * 5))
const controllerKey = Buffer.from(Array.from({ length: 48 }, (_, at) => at * 3))
const options: NvmeAuthOptions = { hosts: { [HOST]: secretText(key) }, controllerSecret: secretText(controllerKey) }
const plain: NvmeAuthOptions = { ...options, groups: ['null'] }

function start(given: NvmeAuthOptions, plan: HostPlan = { key }): { auth: QueueAuth; host: Host } {
  const auth = new QueueAuth(authPlan(given), HOST, SUBSYSTEM)
  return { auth, host: new Host(auth, plan) }
}

async function fate(given: NvmeAuthOptions, plan: HostPlan): Promise<[string | number, boolean, boolean]> {
  const { auth, host } = start(given, plan)
  return [await host.run(), auth.authenticated, auth.over]
}

describe('groups', () => {
  // SHA-256 of the primes that OpenSSL has for `group:ffdhe…`.
  it.each([
    ['ffdhe2048', '9cd3b7f336872f46c09428d1bbc19877a4d440512cda8d1c1cf0cd6e33698966'],
    ['ffdhe3072', '0eaf67db3a839156d5013494a5318a772b5697d270d721f37f092efc69ea5a17'],
    ['ffdhe4096', '4648414224ac881b3d0dc59b466f96d06a558278776807797ecf1f66ff397b3e'],
    ['ffdhe6144', '227ac9066b3ddd9e193670cda2388fa884f65ba0cf98b742d1fe77a6687c79c7'],
    ['ffdhe8192', '770b14efaf6f049929c523113b3fa99a8d11dab1b18af3609590122075d19833'],
  ] as const)('%s has the prime of RFC 7919', (name, sum) => {
    expect(createHash('sha256').update(primeOf(name)).digest('hex')).toBe(sum)
  })

  it('values outside of the group are not worked with', async () => {
    const pair = await keyPair('ffdhe2048')
    const most = primeOf('ffdhe2048')
    const less = Buffer.from(most)
    less[255]! -= 1
    for (const value of [Buffer.alloc(0), Buffer.alloc(256), Buffer.of(1), less, most, Buffer.alloc(257, 1)]) {
      expect(await pair.agree(value)).toBeUndefined()
    }
    expect((await pair.agree(Buffer.of(2)))?.equals(pair.value)).toBe(true)
  })
})

describe('a host with the right secret', () => {
  const primes = Object.fromEntries(
    GROUP_NAMES.flatMap((name) =>
      name === 'null' ? [] : [[groupId(name), BigInt(`0x${primeOf(name).toString('hex')}`)]],
    ),
  )

  it.each(HASH_NAMES.flatMap((hash) => GROUP_NAMES.slice(0, 2).map((group) => [hash, group] as const)))(
    'is let in with %s and %s, and has the proof of the controller',
    async (hash, group) => {
      const given = { ...options, hashes: [hash], groups: [group] }
      expect(await fate(given, { key, controllerKey, primes })).toEqual(['mutual', true, false])
    },
  )

  it.each(HASH_NAMES)('is let in with %s without an exchange', async (hash) => {
    expect(await fate({ ...plain, hashes: [hash] }, { key, controllerKey })).toEqual(['mutual', true, false])
    expect(await fate({ ...plain, hashes: [hash] }, { key })).toEqual(['proved', true, false])
  })

  it('is let in with ffdhe8192', async () => {
    expect(await fate({ ...options, groups: ['ffdhe8192'] }, { key, primes })).toEqual(['proved', true, false])
  })

  it('is let in with a key that is transformed', async () => {
    const own = createHmac('sha384', key).update(`${HOST}NVMe-over-Fabrics`).digest()
    expect(await fate({ ...plain, hosts: { [HOST]: secretText(key, 2) } }, { key: own })).toEqual([
      'proved',
      true,
      false,
    ])
  })

  it('may do it again', async () => {
    const { auth, host } = start(plain, { key, controllerKey })
    expect([await host.run(), await host.run(), auth.authenticated]).toEqual(['mutual', 'mutual', true])
  })

  it('gets what the options want most', async () => {
    const { auth, host } = start({ ...plain, hashes: ['sha512', 'sha256'] })
    await host.negotiate()
    expect((await auth.receive(4096))![8]).toBe(3)
  })
})

describe('a host is not let in', () => {
  it.each<[string, NvmeAuthOptions, HostPlan, number]>([
    ['with a wrong secret', plain, { key: Buffer.alloc(32) }, 1],
    [
      'without a secret of its own',
      { ...plain, hosts: { 'nqn.2026-11.io.blockbraid:other': secretText(key) } },
      { key },
      1,
    ],
    [
      'that asks for a proof of a controller without a secret',
      { hosts: plain.hosts, groups: ['null'] },
      { key, controllerKey },
      1,
    ],
    ['that takes none of the hashes', { ...plain, hashes: ['sha512'] }, { key, hashes: [1, 2, 77] }, 4],
    ['that takes none of the groups', { ...options, groups: ['ffdhe8192'] }, { key, groups: [0, 1, 99] }, 5],
    ['that wants a secure channel', plain, { key, change: put(0, 6, 2) }, 3],
    ['that offers no protocol', plain, { key, change: put(0, 7, 0) }, 6],
    ['that offers more protocols than it lists', plain, { key, change: put(0, 7, 9) }, 6],
    ['that offers another protocol', plain, { key, change: put(0, 8, 2) }, 2],
    ['that lists too much', plain, { key, change: put(0, 10, 31) }, 6],
    ['that lists nothing', plain, { key, change: put(0, 11, 0) }, 6],
    ['that replies to another transaction', plain, { key, change: put(2, 4, 0xff, 0xfe) }, 6],
    ['that replies with another length', plain, { key, change: put(2, 6, 48) }, 6],
    [
      'that replies with a public value',
      plain,
      { key, change: (m) => put(2, 10, 4)(m[1] === 2 ? Buffer.concat([m, Buffer.alloc(4, 1)]) : m) },
      6,
    ],
    ['that replies with half of it', plain, { key, change: (m) => (m[1] === 2 ? m.subarray(0, 70) : m) }, 6],
    ['that answers before it was asked', plain, { key, change: put(0, 0, 1, 2) }, 6],
  ])('%s', async (_, given, plan, explanation) => {
    expect(await fate(given, plan)).toEqual([explanation, false, true])
  })

  it('that gives up after our proof', async () => {
    const { auth, host } = start(plain, {
      key,
      controllerKey,
      change: (m) => (m[1] === 4 ? Buffer.from([0, 0xf0, 0, 0, m[4]!, m[5]!, 1, 1]) : m),
    })
    expect([await host.run(), auth.authenticated, auth.over]).toEqual(['mutual', false, true])
  })

  it('before it has taken our proof', async () => {
    const { auth, host } = start(plain, { key, controllerKey, change: (m) => (m[1] === 4 ? Buffer.alloc(3) : m) })
    await host.run()
    expect(auth.authenticated).toBe(false)
  })

  it('with our own challenge sent back', async () => {
    const { auth, host } = start(plain, {
      key,
      controllerKey,
      change: (m) => {
        if (m[1] === 2) m.set(asked.subarray(16, 48), 48)
        return m
      },
    })
    let asked: Buffer = Buffer.alloc(0)
    const receive = auth.receive.bind(auth)
    auth.receive = async (most) => {
      const message = await receive(most)
      if (message?.[1] === 1) asked = message
      return message
    }
    expect([await host.run(), auth.over]).toEqual([1, true])
  })

  it('by asking twice at once, or by sending while keys are made', async () => {
    const { auth, host } = start({ ...options, groups: ['ffdhe2048'] })
    await host.negotiate()
    const [first, second] = await Promise.all([auth.receive(4096), auth.receive(4096)])
    expect([first?.[1], second, auth.authenticated]).toEqual([1, undefined, false])

    const again = start({ ...options, groups: ['ffdhe2048'] })
    await again.host.negotiate()
    const asked = again.auth.receive(4096)
    await again.host.send(again.host.message(0x104, Buffer.alloc(10)))
    expect([await asked, again.auth.authenticated]).toEqual([undefined, false])
    expect((await again.auth.receive(4096))?.[7]).toBe(7)
  })

  it('by success without a reply', async () => {
    const { auth, host } = start(plain)
    await host.negotiate()
    await auth.receive(4096)
    await host.send(host.message(0x104, Buffer.alloc(10)))
    expect([auth.authenticated, (await auth.receive(4096))?.[7], auth.over]).toEqual([false, 7, true])
    await host.negotiate()
    expect([await auth.receive(4096), auth.authenticated]).toEqual([undefined, false])
  })
})

describe('messages of a host', () => {
  it('that do not fit into what it has room for are kept', async () => {
    const { auth, host } = start(plain)
    await host.negotiate()
    expect(await auth.receive(47)).toBeUndefined()
    expect((await auth.receive(48))?.length).toBe(48)
  })

  it.each([0, 2])('of kind %i, cut at every length, let nobody in', async (kind) => {
    for (let length = 0; length < (kind === 0 ? 72 : 80); length++) {
      const change = (m: Buffer): Buffer => (m[1] === kind ? m.subarray(0, length) : m)
      const [, authenticated] = await fate(plain, { key, change })
      expect(authenticated).toBe(false)
    }
  })

  it('with any bytes in them let in nobody who does not know the secret', async () => {
    for (let round = 0; round < 3000; round++) {
      const noise = randomBytes(8)
      const change = (m: Buffer): Buffer => {
        if (noise[0]! & 1) m[noise[1]! % m.length] = noise[2]!
        if (noise[0]! & 2) m[noise[3]! % 16] = noise[4]!
        return noise[0]! > 230 ? m.subarray(0, noise[5]! % m.length) : m
      }
      const [, authenticated] = await fate(plain, { key: noise, controllerKey, change })
      expect(authenticated).toBe(false)
    }
  })
})

describe('options', () => {
  it.each([
    [{ hosts: {} }, 'options.auth.hosts must have the secret of at least one host'],
    [{ hosts: { a: 'hunter2hunter2' } }, 'options.auth.hosts["a"] must be a secret of the form DHHC-1:HH:BASE64:'],
    [
      { ...options, controllerSecret: secretText(key).replace(/.{6}:$/, 'AAAAA=:') },
      'options.auth.controllerSecret must be',
    ],
    [{ ...options, hashes: ['md5'] }, 'options.auth.hashes must be a list of sha256'],
    [{ ...options, groups: [] }, 'options.auth.groups must be a list of ffdhe2048'],
    [{ ...options, onIoQueues: 1 }, 'options.auth.onIoQueues must be true or false'],
  ])('that are wrong are refused by name: %#', (given, message) => {
    expect(() => authPlan(given as never)).toThrow(message)
    expect(() => authPlan(given as never)).not.toThrow(/hunter2/)
  })

  it('do not show their secrets', () => {
    const told = inspect(new QueueAuth(authPlan(options), HOST, SUBSYSTEM), { depth: 9, showHidden: true })
    expect(told + inspect(authPlan(options), { depth: 9, showHidden: true })).not.toMatch(/DHHC|00 05 0a 0f/)
  })
})

/** Writes bytes into the message of a kind. */
function put(kind: number, at: number, ...bytes: number[]): (message: Buffer) => Buffer {
  return (message) => {
    if (message[1] === kind) message.set(bytes, at)
    return message
  }
}
