import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import type { ChapOptions } from '../../src/login/chap.ts'
import type { LoginOptions } from '../../src/login/login.ts'
import { Login } from '../../src/login/login.ts'
import type { Line, Request } from './support/answers.ts'
import { encodeAnswer, plain, readRequest } from './support/answers.ts'

const secret = 'hush-initiator-hush'
const targetSecret = 'hush-target-hush'
const chap: ChapOptions = { user: 'alice', secret, target: { secret: targetSecret }, algorithms: ['sha256'] }

/** All that a log could show of `value`. */
function everythingOf(value: unknown): string {
  const deep = { depth: Infinity, showHidden: true, getters: true, showProxy: true } as const
  const own = value instanceof Error ? [value.message, value.stack, JSON.stringify({ ...value })] : []
  return [inspect(value), inspect(value, deep), JSON.stringify(value), String(value), ...own].join('\n')
}

const asks: Line = { text: { AuthMethod: 'CHAP' } }
const challenges: Line = { text: { CHAP_A: '7', CHAP_I: '1', CHAP_C: '0x0123456789abcdef' } }

// Each ends in an error, most of them in one that could be tempted to show what it saw.
const scripts: [string, Line[]][] = [
  ['refused at once', [{ status: 0x0201 }]],
  ['refused after our response', [asks, challenges, { status: 0x0201 }]],
  ['no proof', [asks, challenges, { next: 1 }]],
  ['a wrong proof', [asks, challenges, { next: 1, text: { CHAP_N: 'x', CHAP_R: '0x00' } }]],
  ['our response as the proof', [asks, challenges, echo('CHAP_R')]],
  ['our response as another key', [asks, challenges, echo('CHAP_A')]],
  [
    'our challenge as the proof',
    [asks, challenges, ({ keys }) => ({ next: 1, text: { CHAP_N: 'x', CHAP_R: keys.get('CHAP_C')! } })],
  ],
  ['a wrong challenge', [asks, { text: { CHAP_A: '7', CHAP_I: '1', CHAP_C: 'feedbeef' } }]],
  ['a broken text', [asks, challenges, { text: Buffer.from('CHAP_R') }]],
]

function echo(key: string): Line {
  return ({ keys }: Request) => ({ next: 1, text: { CHAP_N: 'x', [key]: keys.get('CHAP_R')! } })
}

describe('secrets', () => {
  it.each(scripts)('stay out of errors and of the login: %s', (_what, script) => {
    const login = new Login({ ...plain, chap })
    const sensitive = [secret, targetSecret, '123456789abcdef', 'feedbeef', 'a5a5a5a5']
    let request = readRequest(login.start())
    let caught: unknown
    try {
      for (const line of script) {
        expect(everythingOf(login)).not.toContain('hush')
        const answer = typeof line === 'function' ? line(request) : line
        const step = login.receive(...encodeAnswer(answer, request))
        expect(everythingOf(login)).not.toContain('hush')
        if (step.kind !== 'send') break
        request = readRequest(step.pdu)
        const response = request.keys.get('CHAP_R')?.slice(2)
        if (response !== undefined) sensitive.push(response)
      }
    } catch (error) {
      caught = error
    }
    expect(caught).toBeInstanceOf(Error)
    for (const text of [everythingOf(caught), everythingOf(login)]) {
      for (const word of sensitive) expect(text).not.toContain(word)
    }
  })

  it.each<[string, Partial<LoginOptions>]>([
    ['the same secret twice', { chap: { ...chap, target: { secret } } }],
    ['no user', { chap: { ...chap, user: '' } }],
    ['an unknown algorithm', { chap: { ...chap, algorithms: ['x' as 'md5'] } }],
    ['a wrong ISID', { chap, isid: new Uint8Array(1) }],
  ])('stay out of the TypeErrors of options: %s', (_what, change) => {
    let caught: unknown
    try {
      new Login({ ...plain, ...change })
    } catch (error) {
      caught = error
    }
    expect(caught).toBeInstanceOf(TypeError)
    expect(everythingOf(caught)).not.toContain('hush')
  })
})
