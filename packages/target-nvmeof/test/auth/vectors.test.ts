import { createHash } from 'node:crypto'
import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { GROUPS, HASHES } from '../../src/auth/algorithms.ts'
import { exchange, isPublicValue } from '../../src/auth/exchange.ts'
import { ffdhePrime } from '../../src/auth/prime.ts'
import { responseTo } from '../../src/auth/response.ts'
import { parseDhchapSecret } from '../../src/auth/secret.ts'
import { HOST, SUBSYSTEM } from './support/controller.ts'
import { power } from './support/power.ts'
import { keyOf, secretText } from './support/secrets.ts'

describe('primes of RFC 7919', () => {
  // SHA-256 of what OpenSSL has for `group:ffdhe…`.
  it.each([
    [256, '9cd3b7f336872f46c09428d1bbc19877a4d440512cda8d1c1cf0cd6e33698966'],
    [384, '0eaf67db3a839156d5013494a5318a772b5697d270d721f37f092efc69ea5a17'],
    [512, '4648414224ac881b3d0dc59b466f96d06a558278776807797ecf1f66ff397b3e'],
    [768, '227ac9066b3ddd9e193670cda2388fa884f65ba0cf98b742d1fe77a6687c79c7'],
    [1024, '770b14efaf6f049929c523113b3fa99a8d11dab1b18af3609590122075d19833'],
  ])('of %i bytes', (length, sum) => {
    const prime = ffdhePrime(length)
    expect(prime.length).toBe(length)
    expect(createHash('sha256').update(prime).digest('hex')).toBe(sum)
  })
})

describe('responses', () => {
  // Made with Python's hmac: key byte i is 7 i + the hash's length, challenge byte j is 16 × the hash's number + j.
  it.each([
    ['sha256', 0, false, '497624cd27301f54a6efb951e61e9f6b', '47501eced75e2d2a4913b89f6c136886'],
    ['sha256', 1, false, '2ec1184798a674272f430f056f32f120', 'ec218077c30f78cf298bd472e9a18912'],
    ['sha256', 0, true, '8097afe9a5e5218a7d96ca727271cac8', '48ed04328e6ea34cb560bf0eaa024d16'],
    ['sha256', 1, true, '75d8110a5773b1c40f5137b5d779e234', 'bb52d195e8850c820ae1a9733af2a017'],
    ['sha384', 0, false, '87c1bed6f12b8321e9539623e91c6aae', 'a6fe27d03760645a865d5a570dc5a3df'],
    ['sha384', 2, false, 'b87dddf303eff69eaa5dcea4a0901941', '2cf52267ac4f369c5d0c27922dc93e40'],
    ['sha384', 0, true, '6ec29550189e05cce171cbe70d22f6ee', 'e867d6efae238760ad29f56e751a1f24'],
    ['sha384', 2, true, '3745f2220dbde0191b60ba5db3dc355b', '9883e37a0473d8aecc9ef08406143b0e'],
    ['sha512', 0, false, 'a53815cca93efdf27f4b1bb780d37e54', '9dbadecc8060892bd9400c21b1a64702'],
    ['sha512', 3, false, '89b76df6c9960d6d3fec0e53dbe7e553', 'e653e97a9d593a1556b110aec1eb1716'],
    ['sha512', 0, true, '5a2693974f32984ddc8a5b75b4a34790', 'db9d1d5918bf8adf91463c5bab76b67e'],
    ['sha512', 3, true, '863be472d9bb038736c26234ccd1b11b', '22ff8367af37440cb674818b57ff9d3e'],
  ])('%s, secret of form %i, after an exchange: %s', (name, form, exchanged, ofHost, ofController) => {
    const hash = HASHES.find((one) => one.name === name)!
    const secret = parseDhchapSecret('secret', secretText(keyOf(hash.length, hash.length), form))
    const asked = {
      hash,
      challenge: Buffer.from(Array.from({ length: hash.length }, (_, at) => (hash.id * 16 + at) & 255)),
      sequence: 0x80000001 + hash.id,
      transaction: 0xa0b0 + hash.id,
      shared: exchanged ? sharedValue() : Buffer.alloc(0),
    }
    const host = { role: 'HostHost', nqn: HOST, toNqn: SUBSYSTEM, key: secret.keyFor(HOST) } as const
    const controller = { role: 'Controller', nqn: SUBSYSTEM, toNqn: HOST, key: secret.keyFor(SUBSYSTEM) } as const
    expect(responseTo(asked, host).toString('hex').slice(0, 32)).toBe(ofHost)
    expect(responseTo(asked, controller).toString('hex').slice(0, 32)).toBe(ofController)
  })
})

describe('secrets', () => {
  it('are transformed as nvme-cli does', () => {
    // nvme gen-dhchap-key --hmac=1 --nqn=nqn.2014-08.org.example:host --secret=000102…1f gives this key.
    const secret = parseDhchapSecret('secret', 'DHHC-1:01:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh+KfiaR:')
    const key = secret.keyFor('nqn.2014-08.org.example:host')
    expect(key.toString('base64')).toBe('eGOjOSJAEO/H5bDhWMzHdMAz5kyhHZlbqU1HWBl05iU=')
  })

  it.each([
    'DHHC-1:00:0DWm9werh3hOG164kaG0/DJ44StAkuSfce1pwTnSXuEbjfEn:',
    'DHHC-1:01:qV0icPujNadq3OqCXsuUHAC2lz+dT2yrB79Oq5mWKIaASIlE:',
    'DHHC-1:02:Dn7LANMol3SH9Cozkb30a78fCq866QOrlQPE03LB2cuX0diThpq+f5bWUzPaW7+rGpI3qQ==:',
    'DHHC-1:03:qlzq8ErWMOsOjnTB9Uj1t71hbBchnrx5SqaEXdO3/vcWTmYnnIcWJxmnwpDVAZ2Da+FpXRV1iH0K8BV2NREXOKiMqXM=:',
  ])('that nvme-cli made are read: %s', (text) => {
    expect(() => parseDhchapSecret('secret', text)).not.toThrow()
    expect(() => parseDhchapSecret('secret', ` ${text}\n`)).not.toThrow()
  })

  it.each([
    [7, 'options.dhchap.secret must be a text of the form DHHC-1:HH:BASE64:'],
    ['hunter2hunter2', 'options.dhchap.secret is not of the form DHHC-1:HH:BASE64:'],
    [secretText(keyOf(32, 1)).slice(0, -1), 'is not of the form'],
    [secretText(keyOf(32, 1), 4), 'begins with DHHC-1:04, but the hash must be one of 00, 01, 02 and 03'],
    [secretText(keyOf(33, 1)), 'has a key of 33 bytes, and 32, 48 or 64 are right'],
    ['DHHC-1:00:AAAA:', 'has a key of 0 bytes'],
    [`DHHC-1:00:${'B'.repeat(48)}:`, 'does not fit its checksum'],
  ])('that are wrong are refused, and not shown: %s', (text, message) => {
    let error: unknown
    try {
      parseDhchapSecret('dhchap.secret', text)
    } catch (caught) {
      error = caught
    }
    expect(error).toBeInstanceOf(TypeError)
    expect((error as TypeError).message).toContain(message)
    if (typeof text === 'string' && text.length > 12) expect(inspect(error)).not.toContain(text.slice(10, 24))
  })

  it('are seen by nobody who looks at them', () => {
    const key = keyOf(32, 5)
    const secret = parseDhchapSecret('secret', secretText(key))
    for (const shown of [inspect(secret, { depth: 9, showHidden: true }), JSON.stringify(secret), String(secret)]) {
      expect(shown).not.toContain('DHHC')
      expect(shown).not.toContain(key.toString('hex').slice(0, 8))
      expect(shown).not.toContain('05 0c 13')
    }
  })
})

describe('key exchange', () => {
  const groups = GROUPS.filter(({ length }) => length > 0)

  it.each(groups)('in $name both sides get the same', async ({ length }) => {
    const prime = BigInt(`0x${ffdhePrime(length).toString('hex')}`)
    const mine = 0x1234567890abcdefn ** 4n
    const { ours, shared } = await exchange(bytesOf(power(2n, mine, prime), length), length)
    expect(ours.length).toBe(length)
    expect(shared.toString('hex')).toBe(bytesOf(power(numberOf(ours), mine, prime), length).toString('hex'))
  })

  it.each(groups)('in $name takes values between 1 and the prime less 1', ({ length }) => {
    const prime = numberOf(ffdhePrime(length))
    const right = (value: bigint): boolean => isPublicValue(bytesOf(value, length), length)
    expect([0n, 1n, prime - 1n, prime, prime + 1n].map(right)).toEqual([false, false, false, false, false])
    expect([2n, 3n, prime - 2n].map(right)).toEqual([true, true, true])
    expect(isPublicValue(Buffer.alloc(0), length)).toBe(false)
    expect(isPublicValue(Buffer.of(2), length)).toBe(true)
    expect(isPublicValue(Buffer.concat([Buffer.alloc(1), bytesOf(3n, length)]), length)).toBe(false)
  })

  it('keeps zeroes in front', async () => {
    const prime = numberOf(ffdhePrime(256))
    // 2 ** 8 is a value of one byte and much zero.
    const { ours, shared } = await exchange(Buffer.of(1, 0), 256)
    expect(shared.length).toBe(256)
    expect(numberOf(shared)).toBe(power(numberOf(ours), 8n, prime))
  })

  it('lets the event loop turn while it works', async () => {
    let turns = 0
    let going = true
    const turn = (): void => {
      turns++
      if (going) setImmediate(turn)
    }
    setImmediate(turn)
    const prime = numberOf(ffdhePrime(1024))
    const theirs = bytesOf(power(2n, 0xffffn ** 9n, prime), 1024)
    const before = turns
    await exchange(theirs, 1024)
    going = false
    // What runs on this thread takes one turn for the pair and one for the secret.
    if (Number(process.versions.node.split('.')[0]) >= 24) expect(turns - before).toBeGreaterThan(8)
  })
})

function sharedValue(): Buffer {
  return Buffer.concat([Buffer.from(Array.from({ length: 200 }, (_, at) => at + 1)), Buffer.alloc(56)])
}

function bytesOf(value: bigint, length: number): Buffer {
  return Buffer.from(value.toString(16).padStart(2 * length, '0'), 'hex')
}

function numberOf(bytes: Buffer): bigint {
  return BigInt(`0x${bytes.toString('hex')}`)
}
