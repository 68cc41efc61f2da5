import { BlockError } from '@blockbraid/core'
import { describe, expect, test } from 'vitest'
import type { ChapAlgorithm, IscsiOptions } from '../../src/index.ts'
import { fromUrl, iscsi } from '../../src/index.ts'
import type { ChapOptions } from '../../src/login/chap.ts'
import { nextOffer } from '../../src/login/chap.ts'
import type { Got } from '../session/hostile-target.ts'
import { loginAnswer, scriptedTarget, welcome } from '../session/hostile-target.ts'
import { afterwards, bed } from './bed.ts'
import { look } from './look.ts'

const secret = 'a secret of alice'
const alice = { user: 'alice', secret }

async function failure(options: IscsiOptions): Promise<BlockError> {
  const target = iscsi({ loginTimeout: 2000, ...options })
  afterwards(() => target.close())
  const error = await target.discover().catch((reason: unknown) => reason)
  if (!BlockError.is(error)) throw new Error(`not refused: ${String(error)}`)
  return error
}

describe('what is offered after a refusal', () => {
  const usual: ChapOptions = { ...alice, algorithms: ['sha3-256', 'sha256', 'sha1'], reserve: ['md5'] }
  const named = (...algorithms: ChapAlgorithm[]): ChapOptions => ({ ...alice, algorithms })
  const all = (chap: ChapOptions): string[] => {
    const offers: string[] = []
    for (let offer = nextOffer(chap.algorithms, undefined, chap); offer !== undefined; ) {
      offers.push(offer.join())
      offer = nextOffer(offer, undefined, chap)
    }
    return offers
  }

  test.each<[string, ChapOptions, string[]]>([
    ['MD5 last, and alone in the end', usual, ['sha256,sha1,md5', 'sha1,md5', 'md5']],
    ['never MD5 where it is not named', named('sha3-256', 'sha256'), ['sha256']],
    ['nothing beside the only one', named('sha256'), []],
    ['those that are named', named('sha256', 'md5'), ['md5']],
  ])('%s', (_what, chap, offers) => {
    expect(all(chap)).toEqual(offers)
  })

  test('the others, where SHA-256 was chosen and the credentials were refused: tgt takes it for SHA-1', () => {
    expect(nextOffer(usual.algorithms, 'sha256', usual)).toEqual(['sha3-256', 'sha1', 'md5'])
    expect(nextOffer(usual.algorithms, 'sha1', usual)).toBeUndefined()
  })
})

describe('MD5', () => {
  const made = () => bed({ array: { chap: { ...alice, algorithms: ['md5'] } } })

  test('is used where the target has nothing else, and that is said', async () => {
    const { host, array } = await made()
    const target = host({ chap: alice })
    const { seen, notes } = await look(target)
    expect(seen).toHaveLength(1)
    const { address } = array.portals[0]!
    const text = expect.stringContaining('no better CHAP than MD5')
    expect(notes).toEqual([
      { place: address, text, missing: false },
      { place: `${array.name} at ${address}`, text, missing: false },
    ])
    // What was taken is offered first from then on.
    const { connections } = array.counters
    await expect.poll(() => array.sessions.length, { timeout: 5000 }).toBe(0)
    await target.discover()
    expect(array.counters.connections).toBe(connections + 2)
  })

  test('is no matter where it is named', async () => {
    const { host } = await made()
    expect((await look(host({ chap: { ...alice, algorithms: ['sha256', 'md5'] } }))).notes).toEqual([])
  })

  test('is not used where others are named: the error says what was offered', async () => {
    const { array } = await made()
    const portals = [array.portals[0]!.address]
    const { code, message } = await failure({ portals, chap: { ...alice, algorithms: ['sha3-256', 'sha1'] } })
    expect(code).toBe('DENIED')
    expect(message).toContain('offered were sha3-256, sha1, then sha1')
  })
})

test('a target that ends the connection at a number that it does not know gets fewer', async () => {
  const asked: string[] = []
  const target = await scriptedTarget({
    login(got) {
      const offered = /CHAP_A=([^\0]*)/.exec(got.data.toString())?.[1]
      if (offered === undefined) return void got.socket.write(loginAnswer(got, 0, 'AuthMethod=CHAP\0'))
      asked.push(offered)
      if (offered.includes('8')) got.socket.destroy()
      else got.socket.write(loginAnswer(got, 0, 'CHAP_A=Reject\0'))
    },
  })
  const { code, message } = await failure({ portals: [target.address], chap: alice, discoveryChap: { ...alice } })
  expect(asked).toEqual(['8,7,6', '7,6,5', '6,5', '5'])
  expect(code).toBe('DENIED')
  expect(message).toContain('offered were sha3-256, sha256, sha1, then sha256, sha1, md5, then sha1, md5, then md5')
})

test('a wrong secret is a wrong secret, whatever was offered after it', async () => {
  const { array } = await bed({ array: { chap: { ...alice, algorithms: ['sha256'] } } })
  const { message } = await failure({
    portals: [array.portals[0]!.address],
    chap: { ...alice, secret: 'not of alice' },
  })
  expect(message).toContain('authentication failed')
  expect(message).toContain('after CHAP with sha256')
})

describe('a target that takes CHAP, and none for discovery', () => {
  const theirs = { user: 'array', secret: 'a secret of the array' }

  test('is told apart, with the cure', async () => {
    const { array } = await bed({ array: { chap: { ...alice, target: theirs }, discoveryChap: false } })
    const portals = [array.portals[0]!.address]
    const chap = { ...alice, target: theirs }
    const { code, message } = await failure({ portals, chap })
    expect(code).toBe('DENIED')
    expect(message).toContain('takes no CHAP for discovery: set discoveryChap to false')
    const cured = iscsi({ portals, chap, discoveryChap: false })
    afterwards(() => cured.close())
    expect(await cured.discover()).toHaveLength(1)
  })

  test('where the secret is wrong nothing of the kind is said', async () => {
    const { array } = await bed({ array: { chap: alice } })
    const { message } = await failure({
      portals: [array.portals[0]!.address],
      chap: { ...alice, secret: 'not of alice' },
    })
    expect(message).not.toContain('discoveryChap')
  })
})

describe('a secret below 12 bytes', () => {
  const short = { user: 'alice', secret: 'alice' }

  test.each<[string, IscsiOptions['chap'], string]>([
    ['ours', short, 'chap.secret has 5 bytes'],
    ['theirs', { ...alice, target: { secret: 'elevenbytes' } }, 'chap.target.secret has 11 bytes'],
  ])('is refused before it is used: %s', async (_what, chap, words) => {
    const { array } = await bed({ array: { chap: { ...short, target: { user: 'array', secret: 'elevenbytes' } } } })
    const { code, message } = await failure({ portals: [array.portals[0]!.address], ...(chap && { chap }) })
    expect([code, message]).toEqual(['DENIED', expect.stringContaining(words)])
    expect(message).toContain('chap.allowShort')
    expect(array.counters.connections).toBe(0)
  })

  test('is used where that is allowed, in an address too', async () => {
    const { array } = await bed({ array: { chap: short } })
    const { address } = array.portals[0]!
    for (const options of [
      { portals: [address], chap: { ...short, allowShort: true } },
      fromUrl(new URL(`iscsi://alice%alice@${address}/?allowShort`)),
    ]) {
      const target = iscsi(options)
      afterwards(() => target.close())
      expect(await target.discover()).toHaveLength(1)
    }
  })
})

describe('an address', () => {
  test('names algorithms, and discovery without CHAP', () => {
    expect(fromUrl(new URL(`iscsi://alice%${secret}@host/?chap=sha256,md5&discoveryChap=none`))).toMatchObject({
      chap: { user: 'alice', secret, algorithms: ['sha256', 'md5'] },
      discoveryChap: false,
    })
  })

  test.each(['?chap=md4', '?discoveryChap=md5', '?algorithms=md5'])('%s is wrong', (query) => {
    expect(() => iscsi(fromUrl(new URL(`iscsi://alice%${secret}@host/${query}`)))).toThrow(TypeError)
  })
})

describe('a target that insists on digests: the error names the options', () => {
  const insisting = (answer: (got: Got) => Buffer) => {
    let discovery = true
    return scriptedTarget({
      login(got) {
        if (got.data.includes('SessionType')) discovery = got.data.includes('SessionType=Discovery')
        const isLast = (((got.header[1] as number) >> 2) & 3) === 1
        got.socket.write(isLast && !discovery ? answer(got) : welcome(got))
      },
    })
  }

  test.each<[string, (got: Got) => Buffer, string]>([
    ['in its answer', (got) => loginAnswer(got, 0x87, 'HeaderDigest=CRC32C\0'), 'set headerDigest to prefer'],
    ['by the end of the login', (got) => loginAnswer(got, 0, '', 0x0200), 'set headerDigest and dataDigest to prefer'],
  ])('%s', async (_what, answer, words) => {
    const { address } = await insisting(answer)
    expect((await failure({ portals: [address] })).message).toContain(words)
  })

  test('by the end of the connection', async () => {
    const { address } = await insisting((got) => {
      got.socket.destroy()
      return Buffer.alloc(0)
    })
    expect((await failure({ portals: [address] })).message).toContain('set headerDigest and dataDigest to prefer')
  })
})
