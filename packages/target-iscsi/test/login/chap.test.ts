import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import type { ChapAlgorithm, ChapOptions } from '../../src/login/chap.ts'
import { chapNumbers, chapResponse } from '../../src/login/chap.ts'
import type { Answer, Line, Request } from './support/answers.ts'
import { agree, noAuth, plain, play, playDone } from './support/answers.ts'
import { blockErrorOf } from './support/fails.ts'

const all: ChapAlgorithm[] = ['sha3-256', 'sha256', 'sha1', 'md5']
const oneWay: ChapOptions = { user: 'alice', secret: 'initiator-pass-1', algorithms: all }
const mutual: ChapOptions = { ...oneWay, target: { user: 'array', secret: 'target-pass-22' } }
const challenge = Buffer.from('00112233445566778899aabbccddeeff', 'hex')

function hash(name: string, id: number, secret: string, bytes: Uint8Array): string {
  return `0x${createHash(name)
    .update(Buffer.concat([Buffer.of(id), Buffer.from(secret), bytes]))
    .digest('hex')}`
}

const asksChap: Answer = { text: { AuthMethod: 'CHAP', TargetPortalGroupTag: '1' } }
function challenges(number: number, changes: Record<string, string> = {}): Answer {
  return { text: { CHAP_A: String(number), CHAP_I: '90', CHAP_C: `0x${challenge.toString('hex')}`, ...changes } }
}
/** Ends the security stage, where the initiator's response is right. */
function checks(name: string): (request: Request) => Answer {
  return ({ keys }) => {
    const right = keys.get('CHAP_N') === 'alice' && keys.get('CHAP_R') === hash(name, 90, oneWay.secret, challenge)
    return right ? { next: 1 } : { status: 0x0201 }
  }
}
/** Proves itself as the target of `mutual`. */
function proves(name: string, changes: Record<string, string> = {}): (request: Request) => Answer {
  return ({ keys }) => {
    const own = Buffer.from(keys.get('CHAP_C')!.slice(2), 'hex')
    const response = hash(name, Number(keys.get('CHAP_I')), 'target-pass-22', own)
    return { next: 1, text: { CHAP_N: 'array', CHAP_R: response, ...changes } }
  }
}

describe('CHAP responses', () => {
  // Made with Python's hashlib: 0x5a, the secret in UTF-8, the bytes 1 to 24.
  it.each([
    ['md5', 'd47b02b3f837c8f840359156337bd12f'],
    ['sha1', '7bbc88d1a1d9a844855a733f4d85239e057387ce'],
    ['sha256', '4a227fae557c5479deec1defe4025d8b9ef97bab5653b5b276df37d6c447ee38'],
    ['sha3-256', '86b8d1d26bfc28c4b9369a3f8075989924e2f32d5a7965ed1284f75f0dd20dbb'],
  ] as const)('%s', (name, hex) => {
    const bytes = Uint8Array.from({ length: 24 }, (_, i) => i + 1)
    expect(chapResponse(name, 0x5a, 'bräid secret 0123', bytes).toString('hex')).toBe(hex)
  })

  it('algorithms have the numbers of the registry', () => {
    expect(chapNumbers).toEqual({ md5: 5, sha1: 6, sha256: 7, 'sha3-256': 8 })
  })
})

describe('one-way CHAP', () => {
  it.each(all)('%s', (name) => {
    const script = [asksChap, challenges(chapNumbers[name]), checks(name), agree()]
    const { requests } = playDone({ chap: oneWay }, script)
    expect(requests.map(({ stage, transit, next }) => [stage, transit && next])).toEqual([
      [0, false],
      [0, false],
      [0, 1],
      [1, 3],
    ])
    expect(requests[0]!.keys.get('AuthMethod')).toBe('CHAP,None')
    expect([...requests[1]!.keys]).toEqual([['CHAP_A', '8,7,6,5']])
    expect([...requests[2]!.keys.keys()]).toEqual(['CHAP_N', 'CHAP_R'])
  })

  it('offers the algorithms of the options, in their order', () => {
    const chap: ChapOptions = { ...oneWay, algorithms: ['sha1', 'sha3-256'] }
    expect(play({ chap }, [asksChap]).requests[1]!.keys.get('CHAP_A')).toBe('6,8')
  })

  it('reads base64 challenges and hex numbers', () => {
    const changes = { CHAP_A: '0x7', CHAP_I: '0x5a', CHAP_C: `0b${challenge.toString('base64')}` }
    playDone({ chap: oneWay }, [asksChap, challenges(7, changes), checks('sha256'), agree()])
  })

  it('also where the target takes its time to leave the stage', () => {
    const { requests } = playDone({ chap: oneWay }, [asksChap, {}, challenges(7), {}, { next: 1 }, agree()])
    expect(requests.map(({ transit, keys }) => [transit, [...keys.keys()].slice(0, 1)])).toEqual([
      [false, ['InitiatorName']],
      [false, ['CHAP_A']],
      [false, []],
      [true, ['CHAP_N']],
      [true, []],
      [true, ['MaxRecvDataSegmentLength']],
    ])
  })

  it('goes on without, where the target does not ask', () => {
    const { requests } = playDone({ chap: oneWay }, [{ text: { AuthMethod: 'None' } }, { next: 1 }, agree()])
    expect(requests[1]).toMatchObject({ transit: true, next: 1, text: Buffer.alloc(0) })
  })

  it('a wrong secret', () => {
    const script = [asksChap, challenges(7), checks('sha256')]
    const error = blockErrorOf(() => play({ chap: { ...oneWay, secret: 'initiator-pass-2' } }, script), 'DENIED')
    expect(error.message).toContain('authentication failed')
    expect(error.message).toContain('after CHAP with sha256')
  })

  it('a target that takes none of the algorithms', () => {
    const error = blockErrorOf(
      () => play({ chap: { ...oneWay, algorithms: ['sha256'] } }, [asksChap, { text: { CHAP_A: 'Reject' } }]),
      'DENIED',
    )
    expect(error.message).toContain('sha256')
  })

  it('refuses MD5 that was not offered', () => {
    const chap: ChapOptions = { ...oneWay, algorithms: ['sha3-256', 'sha256', 'sha1'] }
    const error = blockErrorOf(() => play({ chap }, [asksChap, challenges(5)]), 'PROTOCOL')
    expect(error.message).toContain('not offered')
  })

  it.each<[string, Answer]>([
    ['an unknown algorithm', challenges(9)],
    ['several algorithms', challenges(5, { CHAP_A: '5,7' })],
    ['an identifier above 255', challenges(7, { CHAP_I: '256' })],
    ['an identifier that is no number', challenges(7, { CHAP_I: 'x' })],
    ['an empty challenge', challenges(7, { CHAP_C: '0x' })],
    ['a challenge that is not binary', challenges(7, { CHAP_C: 'abc' })],
    ['a challenge of 1025 bytes', challenges(7, { CHAP_C: `0x${'00'.repeat(1025)}` })],
    ['no challenge', { text: { CHAP_A: '7', CHAP_I: '1' } }],
    ['no algorithm', { text: { CHAP_I: '1', CHAP_C: '0x00' } }],
    ['a proof that nobody asked for', challenges(7, { CHAP_R: '0x00' })],
    ['AuthMethod again', challenges(7, { AuthMethod: 'CHAP' })],
    ['the end of the stage', { ...challenges(7), next: 1 }],
  ])('refuses %s', (_what, answer) => {
    blockErrorOf(() => play({ chap: oneWay }, [asksChap, answer]), 'PROTOCOL')
  })

  it('takes a challenge of 1024 bytes', () => {
    const { requests } = play({ chap: oneWay }, [asksChap, challenges(7, { CHAP_C: `0x${'07'.repeat(1024)}` })])
    expect(requests[2]!.keys.get('CHAP_R')).toBe(hash('sha256', 90, oneWay.secret, Buffer.alloc(1024, 7)))
  })

  it('never answers a second challenge', () => {
    blockErrorOf(() => play({ chap: oneWay }, [asksChap, challenges(7), challenges(7)]), 'PROTOCOL')
  })
})

describe('mutual CHAP', () => {
  it.each(all)('%s', (name) => {
    const script = [asksChap, challenges(chapNumbers[name]), proves(name), agree()]
    const { requests } = playDone({ chap: mutual }, script)
    expect(requests[0]!.keys.get('AuthMethod')).toBe('CHAP')
    expect(requests[2]!.keys.get('CHAP_R')).toBe(hash(name, 90, oneWay.secret, challenge))
    expect(requests[2]!.keys.get('CHAP_I')).toBe('165')
    expect(requests[2]!.keys.get('CHAP_C')).toBe(`0x${'a5'.repeat({ md5: 16, sha1: 20 }[name as 'md5'] ?? 32)}`)
  })

  it('takes any name of the target where none is configured', () => {
    const chap: ChapOptions = { ...oneWay, target: { secret: 'target-pass-22' } }
    playDone({ chap }, [asksChap, challenges(7), proves('sha256', { CHAP_N: 'whoever' }), agree()])
  })

  it.each<[string, Line]>([
    ['a wrong proof', proves('sha256', { CHAP_R: `0x${'00'.repeat(32)}` })],
    ['a proof of another algorithm', proves('md5')],
    ['an empty proof', proves('sha256', { CHAP_R: '0x0' })],
    [
      'our own response as the proof',
      ({ keys }) => ({ next: 1, text: { CHAP_N: 'array', CHAP_R: keys.get('CHAP_R')! } }),
    ],
    ['another name', proves('sha256', { CHAP_N: 'other' })],
    ['no proof', { next: 1 }],
  ])('denies %s', (_what, line) => {
    blockErrorOf(() => play({ chap: mutual }, [asksChap, challenges(7), line]), 'DENIED')
  })

  it.each<[string, Line]>([
    ['a proof without a name', { next: 1, text: { CHAP_R: '0x00' } }],
    ['a name without a proof', { next: 1, text: { CHAP_N: 'array' } }],
    ['a proof that is not binary', proves('sha256', { CHAP_R: 'hello' })],
  ])('refuses %s', (_what, line) => {
    blockErrorOf(() => play({ chap: mutual }, [asksChap, challenges(7), line]), 'PROTOCOL')
  })

  it('the proof may come before the end of the stage', () => {
    const proof: Line = (request) => {
      const { next: _stays, ...rest } = proves('sha256')(request)
      return rest
    }
    playDone({ chap: mutual }, [asksChap, challenges(7), proof, { next: 1 }, agree()])
  })

  it('a target that sends our own challenge back', () => {
    const reflected = challenges(7, { CHAP_C: `0x${'a5'.repeat(32)}` })
    const error = blockErrorOf(() => play({ chap: mutual }, [asksChap, reflected]), 'DENIED')
    expect(error.message).toContain('reflects')
  })

  it('a target that does not authenticate at all', () => {
    blockErrorOf(() => play({ chap: mutual }, [{ text: { AuthMethod: 'None' } }]), 'DENIED')
  })

  it('the same secret for both directions', () => {
    const chap: ChapOptions = { ...oneWay, target: { secret: oneWay.secret } }
    expect(() => play({ chap }, [])).toThrow(TypeError)
  })
})

describe('the choice of a method', () => {
  it('a target that asks for CHAP when none is configured', () => {
    const error = blockErrorOf(() => play({}, [asksChap]), 'DENIED')
    expect(error.message).toContain('no chap credentials are configured')
  })

  it('a target that takes none of the methods', () => {
    blockErrorOf(() => play({ chap: oneWay }, [{ text: { AuthMethod: 'Reject' } }]), 'DENIED')
  })

  it.each(['KRB5', 'chap', 'CHAP,None', 'NotUnderstood', 'Irrelevant', ''])('refuses AuthMethod=%s', (method) => {
    blockErrorOf(() => play({ chap: oneWay }, [{ text: { AuthMethod: method } }]), 'PROTOCOL')
  })

  it('refuses security keys once the stage is left', () => {
    blockErrorOf(() => play({}, [noAuth, { next: 3, text: { AuthMethod: 'None' } }]), 'PROTOCOL')
    blockErrorOf(() => play({}, [{ next: 1 }, { next: 3, text: { AuthMethod: 'None' } }]), 'PROTOCOL')
  })

  it.each<[string, Partial<ChapOptions>]>([
    ['user', { user: '' }],
    ['secret', { secret: '' }],
    ['target.secret', { target: { secret: '' } }],
    ['algorithms', { algorithms: [] }],
    ['algorithms', { algorithms: ['crc32' as ChapAlgorithm] }],
    ['algorithms', { algorithms: ['toString' as ChapAlgorithm] }],
  ])('names chap.%s where it cannot be right', (field, change) => {
    expect(() => play({ ...plain, chap: { ...oneWay, ...change } }, [])).toThrow(`chap.${field}`)
  })
})
