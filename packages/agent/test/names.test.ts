import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { defaultStateFolder } from '../src/state/folder.ts'
import type { NameOwner } from '../src/state/name-record.ts'
import type { Names } from '../src/state/names.ts'
import { createNames } from '../src/state/names.ts'
import type { InProcess } from './fixtures/terminal.ts'
import { begin } from './fixtures/terminal.ts'

const LONG = { timeout: 15_000 }
let folder: string
let state: string
let file: string
let agents: InProcess[]

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bb-names-'))
  state = join(folder, 'state')
  file = join(state, 'names.json')
  agents = []
})
afterEach(async () => {
  for (const agent of agents) {
    agent.interrupt()
    await agent.ended
  }
  await rm(folder, { recursive: true })
})

const mine: NameOwner = { control: '/run/mine.sock', folder: '/etc/mine' }
const open = (owner: NameOwner = mine, at: string | false = state): Names => createNames(at, owner, () => new Date())
const data = (volume: string, name = 'data') => ({ name, template: name, n: null, volume })
const listOf = async (names: Names) => (await names.list()).map(({ name, volume }) => [name, volume])

describe('names of volumes', () => {
  it('outlive the agent, and are those of its control socket or of the folder of its config', async () => {
    await open().claim([data('eui.a')])
    const kept = [['data', 'eui.a']]
    expect(await listOf(open())).toEqual(kept)
    expect(await listOf(open({ ...mine, control: '/run/other.sock' }))).toEqual(kept)
    expect(await listOf(open({ ...mine, folder: '/etc/other' }))).toEqual(kept)
    expect(await listOf(open({ control: '/run/other.sock', folder: '/etc/other' }))).toEqual([])
    expect(await readdir(state)).toEqual(['names.json'])
  })

  it('live as long as the agent where it keeps none', async () => {
    const names = open(mine, false)
    await names.claim([data('eui.a')])
    expect(await listOf(names)).toEqual([['data', 'eui.a']])
    expect(await listOf(open(mine, false))).toEqual([])
  })

  it('that another agent was quicker with are refused, and those that were not used are forgotten', async () => {
    const [one, two] = [open(), open()]
    const first = await one.claim([data('eui.a')])
    expect(first).toMatchObject({ refused: new Map(), added: [data('eui.a')] })
    const late = [data('eui.b'), data('eui.b', 'free'), data('eui.a')]
    const { refused, added } = await two.claim(late)
    expect([...refused.keys()]).toEqual([late[0]])
    expect(added).toEqual([late[1]])
    await two.drop(added)
    expect(await listOf(one)).toEqual([['data', 'eui.a']])
  })

  it('of agents that write at once are all kept', async () => {
    const names = Array.from({ length: 12 }, (_, index) => `n${index}`)
    await Promise.all(names.map((name) => open().claim([data('eui.a', name)])))
    expect((await open().list()).map(({ name }) => name).sort()).toEqual(names.sort())
  })

  it('are not locked for ever by a process that has died', async () => {
    await mkdir(state)
    await writeFile(`${file}.lock`, '4194305 1')
    await open().claim([data('eui.a')])
    expect(await listOf(open())).toEqual([['data', 'eui.a']])
  })

  it('keep the day on which they were given, and have one number in a template', async () => {
    const at = (day: string) => createNames(state, mine, () => new Date(day))
    const numbered = (n: number) => ({ name: `vol-${n}`, template: 'vol-{n}', n, volume: 'eui.a' })
    await at('2026-01-01').claim([data('eui.a'), numbered(0)])
    await at('2026-01-02').claim([data('eui.a'), numbered(7)])
    expect((await open().list()).map(({ name, since, seen }) => [name, since.slice(0, 10), seen.slice(0, 10)])).toEqual(
      [
        ['data', '2026-01-01', '2026-01-02'],
        ['vol-7', '2026-01-02', '2026-01-02'],
      ],
    )
  })

  it.each([
    ['', 'Unexpected end of JSON input'],
    ['{ "version": 1, "names": [', ''],
    ['[]', 'its version is undefined, and 1 is known here'],
    ['7', 'it is not a JSON object'],
    ['{ "version": 2, "names": [] }', 'its version is 2, and 1 is known here'],
    ['{ "version": 1 }', 'it has no list of names'],
    ['{ "version": 1, "names": [null] }', 'names[0].name is not a text'],
    [
      '{ "version": 1, "names": [{ "name": "", "template": "", "volume": "", "since": "", "seen": "", "control": "", "folder": "", "n": -1 }] }',
      'names[0].n is neither null nor a whole number',
    ],
  ])('of a damaged file are refused, and it stays as it is: %s', async (text, why) => {
    await mkdir(state)
    await writeFile(file, text)
    const message = `${file} keeps the names of volumes and is damaged: ${why}`
    await expect(open().list()).rejects.toThrow(message)
    await expect(open().claim([data('eui.a')])).rejects.toThrow('put a copy of it back, or remove it')
    expect(await readFile(file, 'utf8')).toBe(text)
    expect(await readdir(state)).toEqual(['names.json'])
  })

  it('that cannot be kept are an error that names the folder and the cure', async () => {
    await writeFile(state, '')
    await expect(open().claim([])).rejects.toThrow(
      `cannot keep the names of volumes in ${state}: EEXIST: file already exists, mkdir '${state}'; make that folder writable, or name another as "state:" in the config or in BLOCKBRAID_STATE`,
    )
  })

  it('are kept where the environment says, else where the system keeps such things', () => {
    expect(defaultStateFolder({ BLOCKBRAID_STATE: '/s', BLOCKBRAID_RUN: '/r' })).toBe('/s')
    expect(defaultStateFolder({ BLOCKBRAID_RUN: '/r', XDG_STATE_HOME: '/x' })).toBe('/r/state')
    const isRoot = process.geteuid?.() === 0
    const of = (user: string) => (isRoot ? '/var/lib/blockbraid' : user)
    expect(defaultStateFolder({ XDG_STATE_HOME: '/x', HOME: '/h' })).toBe(of('/x/blockbraid'))
    expect(defaultStateFolder({ HOME: '/h' })).toBe(of('/h/.local/state/blockbraid'))
    expect(defaultStateFolder({})).toBe(of(join(homedir(), '.local/state/blockbraid')))
  })
})

const volumes = (first: string) => `    name: ${first}\n    volumes: [{ size: 1MiB }]\n    ports: 1\n`
/** The config with these arrays of one volume each, in that order. */
const config = (arrays: string, entries: string, more = ''): string => `control: ${folder}/control.sock
state: ${state}
${more}targets:
${[...arrays].map((name) => `  - use: memory\n${volumes(name)}`).join('')}devices:
${entries}`
const all = (name: string, more = '') =>
  `  - { volume: "*", name: "${name}", transport: { use: nbd, socket: "${folder}/{name}.sock" }${more} }\n`

async function up(text: string) {
  await writeFile(join(folder, 'bb.yaml'), text)
  const agent = begin(folder, ['up', 'bb.yaml', '--json'])
  agents.push(agent)
  await Promise.race([agent.ended, expect.poll(() => agent.output.out, LONG).toContain('}\n')])
  const pairs = async () => {
    const { out } = await command('ls', '--json', '--control', 'control.sock')
    return Object.fromEntries(
      JSON.parse(out).pairs.map((pair: { name: string; paths: { target: string }[] }) => [
        pair.name,
        pair.paths[0]!.target,
      ]),
    )
  }
  const end = async () => {
    agent.interrupt()
    return agent.ended
  }
  return { agent, pairs, end }
}
const command = (...args: string[]) => begin(folder, args).ended

describe('up', () => {
  it('gives a volume its number again, with another target absent or in another order', async () => {
    const first = await up(config('ab', all('vol-{n}')))
    expect(await first.pairs()).toEqual({ 'vol-0': 'a', 'vol-1': 'b' })
    await first.end()
    const second = await up(config('b', all('vol-{n}')))
    expect(await second.pairs()).toEqual({ 'vol-1': 'b' })
    await second.end()
    const third = await up(config('cba', all('vol-{n}')))
    expect(await third.pairs()).toEqual({ 'vol-0': 'a', 'vol-1': 'b', 'vol-2': 'c' })
    expect(third.agent.output.err).toBe('')
  })

  it('does not give a name to another volume until it was let go, and pairs the others', async () => {
    const first = await up(config('a', all('data')))
    expect(await first.pairs()).toEqual({ data: 'a' })
    const state1 = ['--state', 'state']
    const up1 = await command('names', 'forget', 'data', ...state1)
    expect(up1).toMatchObject({ code: 1, out: '' })
    expect(up1.err).toMatch(
      /^blockbraid: the pair data of naa\.\w+ is up, so that its name stays: "blockbraid down data --control \S+control\.sock" ends it\n$/,
    )
    await first.end()

    const alone = await up(config('b', all('data')))
    expect(await alone.agent.ended).toMatchObject({ code: 1, out: '' })
    expect(alone.agent.output.err).toMatch(
      /^blockbraid: \S+bb\.yaml:\d+:5: pair data: the name data belongs to naa\.\w+ \(since .*\) and is not given to naa\.\w+: "blockbraid names forget data --state \S+state" lets it go\n$/,
    )
    const { volume } = JSON.parse((await command('names', '--json', ...state1)).out).names[0]
    const other = (await command('discover', 'memory:b?volumes=1&ports=1', '--json')).out.match(/naa\.\w+/)![0]
    const entries = `  - { volume: "${other}", name: data, transport: { use: nbd, socket: "${folder}/x.sock" } }\n${all('vol-{n}')}`
    const beside = await up(config('bc', entries))
    expect(await beside.pairs()).toEqual({ 'vol-0': 'c' })
    expect(beside.agent.output.err).toContain(`belongs to ${volume}`)
    await beside.end()

    expect((await command('names', ...state1)).out).toMatch(
      /^name +volume +since +last paired\ndata +naa\.\w+ +\d{4}-\d\d-\d\d +\d{4}-\d\d-\d\d\nvol-0 /,
    )
    const gone = await command('names', 'forget', 'data', '--json', ...state1)
    expect(gone).toMatchObject({ code: 0, err: '' })
    expect(JSON.parse(gone.out)).toEqual({ name: 'data', volume, forgotten: true })
    expect((await command('names', 'forget', 'data', ...state1)).err).toBe(
      `blockbraid: ${file} has no name data; "blockbraid names" lists what it has\n`,
    )
    const last = await up(config('b', all('data')))
    expect(await last.pairs()).toEqual({ data: 'b' })
  })

  it('refuses before it makes anything where names cannot be kept, unless no entry needs it', async () => {
    await writeFile(state, '')
    const refused = await up(config('a', all('vol-{n}') + all('{volume}').replace('"*"', 'naa.6')))
    expect(await refused.agent.ended).toMatchObject({
      code: 1,
      out: '',
      err: expect.stringContaining(`blockbraid: cannot keep the names of volumes in ${state}: `),
    })
    expect((await readdir(folder)).sort()).toEqual(['bb.yaml', 'state'])
    const plain = await up(config('a', all('{volume}')))
    expect(Object.values(await plain.pairs())).toEqual(['a'])
  })

  it('refuses a damaged file of names, by its name', async () => {
    await mkdir(state)
    await writeFile(file, '{')
    const { agent } = await up(config('a', all('vol-{n}')))
    expect(await agent.ended).toMatchObject({ code: 1, out: '' })
    expect(agent.output.err).toMatch(/^blockbraid: \S+\/names\.json keeps the names of volumes and is damaged: /)
    expect(await readFile(file, 'utf8')).toBe('{')
    expect(await command('names', '--state', 'state')).toMatchObject({ code: 1 })
  })

  it('forgets the name of a pair that could not be made', async () => {
    const bad = config('a', all('data')).replace(`${folder}/{name}.sock`, folder)
    expect(await (await up(bad)).agent.ended).toMatchObject({ code: 1 })
    expect(await command('names', '--state', 'state')).toMatchObject({ code: 0, out: 'no names\n' })
  })

  it('refuses one volume under two names, once, with both places, and runs with the rest', async () => {
    const path = `  - { volume: "memory:a/port0/lun0", name: one, transport: { use: nbd, socket: "${folder}/one.sock" } }\n`
    const { agent, pairs } = await up(config('a', all('{volume}') + path))
    expect(Object.values(await pairs())).toEqual(['a'])
    const why =
      /^blockbraid: \S+bb\.yaml:10:5: pair one: it leads to naa\.\w+, which the entry \* takes \(\S+bb\.yaml:9:5\): keep one/
    expect(agent.output.err).toMatch(why)
    expect(agent.output.err.trim().split('\n')).toHaveLength(1)
    const { code, err } = await command('rescan', '--control', 'control.sock')
    expect(code).toBe(1)
    expect(err).toContain(': pair one: it leads to')
  })

  it('serves one volume under two names where both entries share it', async () => {
    const share = ', shared: true'
    const path = `  - { volume: "memory:a/port0/lun0", name: one, transport: { use: nbd, socket: "${folder}/one.sock" }${share} }\n`
    const { pairs } = await up(config('a', all('data', share) + path))
    expect(await pairs()).toEqual({ data: 'a', one: 'a' })
  })
})

it('names forget asks which agent is meant where two have the name', async () => {
  for (const control of ['a', 'b']) {
    await open({ control: join(folder, control), folder: `/etc/${control}` }).claim([data(`eui.${control}`)])
  }
  expect((await command('names', 'forget', 'data', '--state', state)).err).toBe(
    `blockbraid: the name data is kept for 2 agents, ${folder}/a, ${folder}/b: say which with --control\n`,
  )
  expect(await command('names', 'forget', 'data', '--state', state, '--control', 'a')).toMatchObject({
    code: 0,
    out: 'data no longer belongs to eui.a: the next volume that is to have the name gets it\n',
  })
  expect(JSON.parse((await command('names', '--state', state, '--json')).out).names).toMatchObject([
    { name: 'data', volume: 'eui.b', control: join(folder, 'b') },
  ])
})
