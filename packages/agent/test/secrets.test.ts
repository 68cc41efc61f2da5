// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables are part of what is tested
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { inspect } from 'node:util'
import { systemHost } from '@blockbraid/core'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { parseConfig } from '../src/config/load.ts'
import { hiderOf } from '../src/config/secrets.ts'
import { runAgent } from '../src/index.ts'
import { loadTarget } from '../src/plugins/plugins.ts'
import type { InProcess } from './fixtures/terminal.ts'
import { begin, run } from './fixtures/terminal.ts'

const LONG = { timeout: 15_000 }
const OURS = 'hun"ter 2%\\hunter2'
const THEIRS = 'correct-horse'
const env = { OURS, THEIRS, CHAP: `alice%${OURS}` }
const telling = fileURLToPath(new URL('fixtures/telling-target.ts', import.meta.url))
const holding = fileURLToPath(new URL('fixtures/holding-transport.ts', import.meta.url))

let folder: string
let agent: InProcess | undefined
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bb-secrets-'))
})
afterEach(async () => {
  agent?.interrupt()
  await agent?.ended
  agent = undefined
})
afterAll(() => rm(folder, { recursive: true }))

/** Fails where a secret can be read, in whatever spelling. */
function expectNoSecret(...texts: unknown[]): void {
  const told = texts.map((one) => (typeof one === 'string' ? one : inspect(one, { depth: 20 }))).join('\n')
  for (const secret of [OURS, THEIRS, JSON.stringify(OURS).slice(1, -1), encodeURIComponent(OURS), 'hunter2'])
    expect(told).not.toContain(secret)
}

const config = (target: string): string => `targets: [${target}]
devices: [{ volume: "*", name: vol-{n}, transport: { use: ${holding} } }]
`
const chap = '{ user: alice, secret: ${OURS}, target: { secret: ${THEIRS} } }'

describe('secrets of a config', () => {
  it.each([
    ['{ use: iscsi, portals: [a], chap: "${CHAP}" }', 'targets[0].chap is wrong: it must be a mapping with user'],
    ['{ use: iscsi, portals: [a], chap: ["${CHAP}"] }', 'targets[0].chap is a list: it must be a mapping with user'],
    [
      '{ use: iscsi, portals: [a], chap: { user: a, secret: [12345678] } }',
      'targets[0].chap.secret is a list: it must be a text, best a variable such as ${CHAP_SECRET}',
    ],
    [
      '{ use: iscsi, portals: [a], chap: { user: a, secret: 12345678 } }',
      'targets[0].chap.secret is wrong: it must be a text, best a variable such as ${CHAP_SECRET}',
    ],
    [
      '{ use: iscsi, portals: [a], chap: { user: a, secret: b, algorithms: [${OURS}] } }',
      'targets[0].chap.algorithms[0] is wrong: it must be sha3-256, sha256, sha1 or md5',
    ],
    [
      '{ use: iscsi, portals: [a], chap: { user: a, secret: b, target: ${THEIRS} } }',
      'targets[0].chap.target is wrong: it must be a mapping with secret',
    ],
    [
      '{ use: iscsi, portals: [a], discoveryChap: true }',
      'targets[0].discoveryChap is true: it must be a mapping with user and secret, or false',
    ],
  ])('are not in mistakes: %s', (target, message) => {
    let error: unknown
    try {
      parseConfig(config(target), 'bb.yaml', env)
    } catch (thrown) {
      error = thrown
    }
    expect((error as Error).message).toContain(message)
    expectNoSecret(error, (error as Error).message, (error as Error).stack)
  })

  it('are not in what a factory throws, nor in its cause and stack', async () => {
    const file = join(folder, 'tells.js')
    await writeFile(
      file,
      `export default ({ chap }) => {
        const error = new TypeError('bad ' + chap.secret + ' ' + JSON.stringify(chap), { cause: { deep: [chap.target] } })
        throw Object.assign(error, { chap })
      }`,
    )
    const plugin = parseConfig(config(`{ use: ./tells.js, chap: ${chap} }`), 'bb.yaml', env).targets[0]!
    const error = await loadTarget(plugin, folder, systemHost).catch((thrown: unknown) => thrown)
    expect((error as Error).message).toBe(
      'bb.yaml:1:11: target ./tells.js: bad (hidden) {"user":"alice","secret":"(hidden)","target":{"secret":"(hidden)"}}',
    )
    expectNoSecret(error, (error as Error).stack)
  })

  it('are not in what a factory of ours throws', async () => {
    const text = config(
      '{ use: iscsi, portals: [a], chap: { user: alice, secret: ${THEIRS}, target: { secret: ${THEIRS} } } }',
    )
    const error = await loadTarget(parseConfig(text, 'bb.yaml', env).targets[0]!, folder, systemHost).catch(
      (thrown: unknown) => thrown,
    )
    expect((error as Error).message).toMatch(/^bb\.yaml:1:11: target iscsi: .*chap\.target\.secret must differ/)
    expectNoSecret(error)
  })

  it('are not in what a target says when it is asked, or when its paths are opened', async () => {
    for (const tells of ['discover', 'connect']) {
      const text = config(`{ use: ${telling}, tells: ${tells}, chap: ${chap} }`)
      const error = await runAgent(parseConfig(text, join(folder, 'bb.yaml'), env)).catch((thrown: unknown) => thrown)
      expect((error as Error).message).toContain('login as alice failed: {"user":"alice","secret":"(hidden)"')
      expectNoSecret(error, (error as Error).message)
    }
  })

  it('are not in what a running agent prints, reports and answers', async () => {
    const control = join(folder, 'control.sock')
    await writeFile(join(folder, 'bb.yaml'), config(`{ use: ${telling}, tells: second path, chap: ${chap} }`))
    agent = begin(folder, ['up', 'bb.yaml', '--json', '--control', control], env)
    const { output } = agent
    await expect.poll(() => output.out, LONG).toContain('}\n')
    const ls = async (...args: string[]) => (await run(folder, 'ls', ...args, '--control', control)).out
    await expect.poll(() => ls('--json'), LONG).toContain('login as alice failed')
    const answers = await Promise.all([ls(), ls('--json')])
    for (const answer of answers) expect(answer).toContain('(hidden)')
    expectNoSecret(...answers, output.out, output.err)
  })

  it('are not in what discover says of an address', async () => {
    const { code, err } = await run(folder, 'discover', `iscsi://alice%${encodeURIComponent('hunter2')}@127.0.0.1:1/`)
    expect([code, err]).toEqual([1, expect.stringMatching(/^blockbraid: iscsi:\/\/127\.0\.0\.1:1\/: ./)])
    expectNoSecret(err)
    for (const address of ['iscsi://alice%a/hunter2@host:x', 'iscsi:alice%hunter2@host', 'alice%hunter2@host']) {
      expectNoSecret((await run(folder, 'discover', address)).err)
    }
  })
})

describe('hiding', () => {
  it('takes the longest secret out first, and goes round in circles only once', () => {
    const options: Record<string, unknown> = { password: 'abc', list: [{ psk: 'abcdef' }], empty: { token: '' } }
    options['self'] = options
    expect(hiderOf(options).hide('abcdef abc ab')).toBe('(hidden) (hidden) ab')
    expect(hiderOf({ keys: 'abc', monkey: 'def', key: 'ghi' }).hide('abc def ghi')).toBe('abc def (hidden)')
  })

  it('keeps a cause without secrets', () => {
    const cause = new Error('plain')
    expect(hiderOf({ secret: 'abc' }).cause(cause)).toBe(cause)
    expect(hiderOf({ secret: 'plain' }).cause(cause)).toBeUndefined()
    expect(hiderOf({ secret: 'deep' }).cause(new Error('x', { cause: new Error('deep') }))).toBeUndefined()
  })
})

it('hides keys of NVMe wherever they stand, and in errors about them', async () => {
  const key = 'DHHC-1:00:ia6zGodOr4SEG0Zzaw398rpY0wqipUWj4jWjUh4HWUz6aQ2n:'
  const psk = 'NVMeTLSkey-1:01:VRLbtnN9AQb2WXW3c9+wEf/DRLz0QuLdbYvEhwtdWwNf9LrZ:'
  const { hide } = hiderOf({ auth: { hosts: { 'nqn.2026-11.io.example:host': key } }, tls: { psk } })
  expect(hide(`no host has ${key}, or ${psk}`)).toBe('no host has (hidden), or (hidden)')
  for (const [field, bad] of [
    ['dhchap: { secret', 'DHHC-1:00:hunter2'],
    ['tls: { psk', 'NVMeTLSkey-1:01:hunter2'],
  ]) {
    const file = join(folder, 'nvme.yaml')
    const target = `{ use: nvmeof, portals: [127.0.0.1:1], ${field}: "${bad}" } }`
    await writeFile(file, config(target))
    const { code, out, err } = await run(folder, 'up', 'nvme.yaml')
    expect(code).toBe(1)
    expect(err).toMatch(/nvme\.yaml:1:11: target nvmeof: .*(secret|psk)/)
    expectNoSecret(out, err)
  }
})
