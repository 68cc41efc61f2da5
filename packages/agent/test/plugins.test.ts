import { chmod, mkdir, mkdtemp, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { systemHost } from '@blockbraid/core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadPolicy, loadTarget, loadTransport } from '../src/plugins/plugins.ts'

let folder: string
const files: Readonly<Record<string, string>> = {
  'my-policy.ts': `import type { PathSelector } from '@blockbraid/core'
export default (options: { label?: string }): PathSelector => ({
  name: options.label ?? 'mine', update() {}, select: () => undefined })`,
  'no-default.ts': 'export const policy = 5',
  'throws.js': "export default () => { throw new TypeError('weight is -1; it must be above 0') }",
  'writes.js': `export default (options, host) => {
    const name = \`\${options.label} \${options.list.length}\`
    options.label = 'changed'
    options.list.push(1)
    for (const change of [() => (host.clock.now = () => 0), () => (host.random = () => 0), () => (host.clock = null)])
      try { change() } catch {}
    return { name, update() {}, select() {} }
  }`,
  'half.js': "export default () => ({ name: 'half', update() {} })",
  'nothing.js': 'export default () => undefined',
  'broken.mjs': "\nthrow new Error('no such thing')",
  'syntax.js': 'export default (',
  'node_modules/blockbraid-policy-hottest/package.json': '{"name":"blockbraid-policy-hottest","exports":"./a.mjs"}',
  'node_modules/blockbraid-policy-hottest/a.mjs': `export const options = {
    type: 'object', additionalProperties: false, required: ['label'],
    properties: {
      label: { type: 'string', minLength: 1 },
      heat: { title: 'a whole number, 1 or more', type: 'integer', minimum: 1 },
      secret: { type: 'string' },
      near: { type: 'object', additionalProperties: false, properties: { zone: { enum: ['a', 'b'] } } },
    },
  }
  export default ({ label }) => ({ name: label, update() {}, select() {} })`,
  'checked.ts': `export const options = { type: 'object', additionalProperties: false, properties: {} } as const
  export default () => { throw new Error('called') }`,
  'no-schema.js': "export const options = 'any'; export default () => ({ name: 'x', update() {}, select() {} })",
  'bad-schema.js':
    "export const options = { type: 'thing' }; export default () => ({ name: 'x', update() {}, select() {} })",
  'node_modules/esm-only/package.json': '{"name":"esm-only","exports":{".":{"types":"./x.d.ts","import":"./esm.js"}}}',
  'node_modules/esm-only/esm.js': "export default () => ({ name: 'esm', update() {}, select() {} })",
  'node_modules/plain/package.json': '{"name":"plain","main":"lib/main.js"}',
  'node_modules/plain/lib/main.js': "module.exports = () => ({ name: 'plain', update() {}, select() {} })",
  'node_modules/@acme/one/package.json': '{"name":"@acme/one","type":"module","exports":"./a.js"}',
  'node_modules/@acme/one/a.js': "export default () => ({ name: 'acme', update() {}, select() {} })",
  'node_modules/@blockbraid/policy-plain/package.json': '{"name":"x","type":"module","exports":{"default":"./a.js"}}',
  'node_modules/@blockbraid/policy-plain/a.js': "export default () => ({ name: 'prefixed', update() {}, select() {} })",
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bb-plugins-'))
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await writeFile(join(folder, name), text)
  }
})
afterAll(() => rm(folder, { recursive: true }))

const policy = (use: string, options = {}) => loadPolicy({ use, options, at: 'bb.yaml:3:5' }, folder, systemHost)

describe('plugins', () => {
  it('a policy that writes into its options and its host changes neither the agent nor the next policy', async () => {
    const options = { label: 'as configured', list: [] }
    const { clock, random } = systemHost
    const { now } = clock
    const create = await policy('./writes.js', options)
    expect([create().name, create().name]).toEqual(['as configured 0', 'as configured 0'])
    expect(options).toEqual({ label: 'as configured', list: [] })
    expect([systemHost.clock, systemHost.random, systemHost.clock.now]).toEqual([clock, random, now])
  })

  it.each([
    ['./my-policy.ts', 'mine'],
    ['esm-only', 'esm'],
    ['@acme/one', 'acme'],
    ['plain', 'prefixed'],
    ['round-robin', 'round-robin'],
    ['@blockbraid/policy-queue-depth', 'queue-depth'],
  ])('%s is loaded', async (use, name) => {
    expect((await policy(use))().name).toBe(name)
  })

  it('of others is found by the name after blockbraid-policy-, and its options are checked before it is made', async () => {
    expect((await policy('hottest', { label: 'hot', heat: 2, near: { zone: 'a' } }))().name).toBe('hot')
    const refused: readonly [object, string][] = [
      [{ label: 'x', heet: 2 }, 'heet is not a known option: did you mean heat?'],
      [{ label: 'x', colour: 2 }, 'colour is not a known option: known here: label, heat, secret, near'],
      [{ heat: 2 }, 'label is missing'],
      [{ label: 'x', heat: 0.5 }, 'heat is 0.5; it must be a whole number, 1 or more'],
      [{ label: '' }, 'label is ""; it must NOT have fewer than 1 characters'],
      [{ label: 'x', near: { zone: 'c' } }, 'near.zone is "c"; it must be equal to one of the allowed values'],
      [{ label: 'x', near: { zon: 'a' } }, 'near.zon is not a known option: did you mean zone?'],
      [{ label: 'x', secret: 5 }, 'secret is wrong; it must be string'],
    ]
    for (const [options, words] of refused) {
      await expect(policy('hottest', options)).rejects.toThrow(`bb.yaml:3:5: policy hottest: ${words}`)
    }
  })

  it.each([
    ['./checked.ts', 'bias is not a known option: it has none'],
    ['./no-schema.js', 'what it exports as options is no JSON Schema: it is string'],
    ['./bad-schema.js', 'what it exports as options is no JSON Schema: '],
  ])('%s: its options are checked too', async (use, words) => {
    await expect(policy(use, { bias: 3 })).rejects.toThrow(`bb.yaml:3:5: policy ${use}: ${words}`)
  })

  it('gets its options, and makes a new selector each time', async () => {
    const create = await policy('./my-policy.ts', { label: 'given' })
    expect(create().name).toBe('given')
    expect(create()).not.toBe(create())
  })

  it('by an absolute path, and again after each edit', async () => {
    const file = join(folder, 'edited.js')
    for (const [index, word] of ['first', 'second', 'third'].entries()) {
      await writeFile(file, `export default () => ({ name: '${word}', update() {}, select() {} })`)
      await utimes(file, index, index)
      expect((await policy(file))().name).toBe(word)
      expect((await policy(file))().name).toBe(word)
    }
  })

  it.each([
    ['nonsense', 'there is no policy "nonsense": install @blockbraid/policy-nonsense'],
    ['@acme/two', 'there is no policy "@acme/two": install @acme/two'],
    ['./no-default.ts', 'policy ./no-default.ts: its default export is not a function (options, host) => policy'],
    ['./throws.js', 'policy ./throws.js: weight is -1; it must be above 0'],
    ['./half.js', 'policy ./half.js: its factory returned no policy: select() is missing'],
    ['./nothing.js', 'policy ./nothing.js: its factory returned no policy: update() is missing'],
  ])('%s is an error with its place', async (use, message) => {
    await expect(policy(use)).rejects.toThrow(`bb.yaml:3:5: ${message}`)
  })

  it('says which file is not there or is broken', async () => {
    await expect(policy('./nope.ts')).rejects.toThrow(`bb.yaml:3:5: there is no file ${folder}/nope.ts`)
    await expect(policy('./syntax.js')).rejects.toThrow('bb.yaml:3:5: cannot load policy ./syntax.js: ')
    await expect(loadPolicy({ use: 'nonsense', options: {} }, folder, systemHost)).rejects.toMatchObject({
      code: 'NOT_FOUND',
    })
  })

  it('may tell a secret, and it is not printed', async () => {
    const options = { label: 'x', chap: [{ user: 'alice', secret: 'hunter2' }], live: new Map(), nothing: null }
    await writeFile(
      join(folder, 'tells.js'),
      "export default (o) => { throw new Error('bad ' + JSON.stringify(o.chap)) }",
    )
    await expect(policy('./tells.js', options)).rejects.toThrow(
      'policy ./tells.js: bad [{"user":"alice","secret":"(hidden)"}]',
    )
  })

  it.each([
    ['./throws.js', 'policy ./throws.js: weight is -1; it must be above 0 (FOLDER/throws.js:1)'],
    ['./broken.mjs', 'cannot load policy ./broken.mjs: no such thing (FOLDER/broken.mjs:2)'],
  ])('%s is an error with its line', async (use, words) => {
    await expect(policy(use)).rejects.toThrow(words.replace('FOLDER', folder))
  })

  it('come with the command first: none of the same name in a folder above is taken', async () => {
    const planted = join(folder, 'node_modules/@blockbraid/policy-round-robin')
    await mkdir(planted)
    await writeFile(join(planted, 'package.json'), '{"name":"@blockbraid/policy-round-robin","main":"planted.js"}')
    await writeFile(join(planted, 'planted.js'), "throw new Error('planted')")
    for (const use of ['round-robin', '@blockbraid/policy-round-robin']) {
      expect((await policy(use))().name).toBe('round-robin')
    }
  })

  it('are not loaded where others can write, though the config is where nobody else can', async () => {
    const [open, closed] = [join(folder, 'open'), join(folder, 'open/closed')]
    await mkdir(join(closed, 'configs'), { recursive: true })
    await mkdir(join(open, 'node_modules/planted'), { recursive: true })
    await writeFile(join(open, 'node_modules/planted/index.js'), "throw new Error('planted')")
    await writeFile(join(open, 'node_modules/planted/package.json'), '{"name":"planted"}')
    await writeFile(join(closed, 'mine.js'), "throw new Error('planted')")
    await chmod(open, 0o777)
    const load = (use: string) =>
      loadPolicy({ use, options: {}, at: 'bb.yaml:3:5' }, join(closed, 'configs'), systemHost)
    const why =
      `everybody can write ${open} (mode 777), so that others could have their own code run as this user; ` +
      `"chmod o-w ${open}" ends that`
    await expect(load('planted')).rejects.toThrow(
      `bb.yaml:3:5: policy planted is not loaded from ${open}/node_modules/planted: ${why}`,
    )
    await expect(load('../mine.js')).rejects.toThrow(`bb.yaml:3:5: policy ../mine.js is not loaded: ${why}`)
    await chmod(open, 0o755)
    await expect(load('../mine.js')).rejects.toThrow('cannot load policy ../mine.js: planted')
  })

  it('are targets and transports too', async () => {
    const target = await loadTarget({ use: 'memory', options: { volumes: [{ size: 65536 }] } }, folder, systemHost)
    expect(await target.discover()).toHaveLength(4)
    await target.close()
    await expect(loadTarget({ use: 'memory', options: { ports: 'x' } }, folder, systemHost)).rejects.toThrow(
      'target memory: ports is "x"',
    )
    const create = await loadTransport({ use: 'nbd', options: {}, at: 'bb.yaml:9:9' }, folder, systemHost)
    expect(() => create({})).toThrow('bb.yaml:9:9: transport nbd: ')
    await create({ port: 0 }).close()
  })
})
