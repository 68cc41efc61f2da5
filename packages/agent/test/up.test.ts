// biome-ignore-all lint/suspicious/noTemplateCurlyInString: variables are part of what is tested
import { mkdtemp, readdir, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { callControl } from '../src/control/client.ts'
import type { Listing } from '../src/snapshot/listing.ts'
import type { Running } from './fixtures/command.ts'
import { start } from './fixtures/command.ts'
import type { InProcess } from './fixtures/terminal.ts'
import { begin, run } from './fixtures/terminal.ts'

const LONG = { timeout: 15_000 }
const reading = fileURLToPath(new URL('fixtures/reading-transport.ts', import.meta.url))

let folder: string
let control: string
let agent: InProcess | undefined
let command: Running | undefined

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bb-up-'))
  control = join(folder, 'control.sock')
})
afterEach(async () => {
  agent?.interrupt()
  await agent?.ended
  agent = undefined
  command?.child.kill('SIGKILL')
  await command?.ended
  command = undefined
  await rm(folder, { recursive: true })
})

const config = (transport: string): string => `control: ${control}
targets:
  - use: memory
    volumes: [{ size: 1MiB }, { size: 2MiB, blockSize: 512 }]
    ports: 2
devices:
  - volume: "*"
    name: vol-{n}
    policy: round-robin
    multipath: { noPathTimeout: 1h }
    transport: ${transport}
`
const sockets = '{ use: nbd, socket: ${FOLDER}/{name}.sock }'

async function up(transport = sockets): Promise<InProcess> {
  await writeFile(join(folder, 'bb.yaml'), config(transport))
  agent = begin(folder, ['up', 'bb.yaml', '--json'], { FOLDER: folder })
  const { output, ended } = agent
  await Promise.race([ended, expect.poll(() => output.out, LONG).toContain('}\n')])
  expect(output.err).toBe('')
  return agent
}

const remote = (...args: string[]) => run(folder, ...args, '--control', control)
const listing = () => callControl(control, { op: 'ls' }) as Promise<Listing>
const states = async (pair: number) => (await listing()).pairs[pair]!.paths.map(({ state }) => state)

describe('up', () => {
  it('pairs what its config says, and says where', async () => {
    const { output } = await up()
    const pairs = [0, 1].map((n) => ({
      name: `vol-${n}`,
      node: `nbd+unix:///vol-${n}?socket=${folder}/vol-${n}.sock`,
      tookOver: false,
    }))
    expect(JSON.parse(output.out)).toEqual({ pid: process.pid, control, pairs })
    expect((await readdir(folder)).sort()).toEqual(['bb.yaml', 'control.sock', 'vol-0.sock', 'vol-1.sock'])
  })

  it('is seen by ls, in the agreed form', async () => {
    await up()
    const { code, out } = await remote('ls', '--json')
    expect(code).toBe(0)
    const path = (port: number) => ({
      id: `memory:array0/port${port}/lun1`,
      target: 'array0',
      address: expect.stringContaining(`port ${port}`),
      access: 'optimized',
      state: 'up',
      inflight: 0,
      ios: 0,
      bytes: 0,
      errors: 0,
      latencyUs: 0,
      since: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      reason: '',
    })
    const { pairs } = JSON.parse(out) as Listing
    expect(pairs).toHaveLength(2)
    expect(pairs[1]).toEqual({
      name: 'vol-1',
      volume: expect.stringMatching(/^naa\.6[0-9a-f]{31}$/),
      size: 2 * 2 ** 20,
      blockSize: 512,
      policy: 'round-robin',
      state: 'active',
      node: `nbd+unix:///vol-1?socket=${folder}/vol-1.sock`,
      tookOver: false,
      parked: 0,
      paths: [path(0), path(1)],
    })
    expect(Date.now() - Date.parse(pairs[1]!.paths[0]!.since)).toBeLessThan(60_000)
    expect((await remote('ls')).out).toContain('|- memory:array0/port0/lun0 optimized     up')
  })

  it('takes paths out and in, and says what is not there', async () => {
    await up()
    expect(await remote('path', 'fail', 'vol-0', 'memory:array0/port1/lun0')).toMatchObject({ code: 0, err: '' })
    expect(await states(0)).toEqual(['up', 'disabled'])
    expect(await states(1)).toEqual(['up', 'up'])
    expect((await remote('ls')).out).toContain('degraded')
    expect(await remote('path', 'restore', 'vol-0', 'memory:array0/port1/lun0', '--json')).toMatchObject({ code: 0 })
    await expect.poll(() => states(0), LONG).toEqual(['up', 'up'])
    expect(agent?.output.err).toBe(
      'blockbraid: vol-0: path memory:array0/port1/lun0 is down: taken out by hand\n' +
        'blockbraid: vol-0: path memory:array0/port1/lun0 is up again\n',
    )
    expect(await remote('path', 'fail', 'vol-0', 'nope')).toMatchObject({
      code: 1,
      err: expect.stringContaining('nope'),
    })
    expect(await remote('path', 'fail', 'vol-9', 'nope')).toMatchObject({
      code: 1,
      err: 'blockbraid: there is no pair vol-9; up are vol-0, vol-1\n',
    })
  })

  it('exchanges policies: packaged ones and files', async () => {
    await up()
    await writeFile(
      join(folder, 'mine.mjs'),
      "export default () => { let paths = []; return { name: 'mine', update(p) { paths = p }, select: () => paths[0] } }",
    )
    const policies = async () => (await listing()).pairs.map(({ policy }) => policy)
    expect(await remote('policy', 'vol-0', 'queue-depth')).toMatchObject({
      code: 0,
      out: 'vol-0 now uses queue-depth\n',
    })
    expect(await policies()).toEqual(['queue-depth', 'round-robin'])
    expect(await remote('policy', 'vol-0', './mine.mjs')).toMatchObject({ code: 0 })
    expect(await policies()).toEqual(['mine', 'round-robin'])
    expect(await remote('policy', 'vol-0', 'nope')).toMatchObject({
      code: 1,
      err: 'blockbraid: there is no policy "nope": install @blockbraid/policy-nope\n',
    })
    expect(await policies()).toEqual(['mine', 'round-robin'])
  })

  it("takes any part of a path's id that no other one has, also as it is printed", async () => {
    await up()
    const port1 = 'memory:array0/port1/lun0'
    expect(await remote('path', 'fail', 'vol-0', 'port1')).toEqual({
      code: 0,
      out: `vol-0: ${port1} takes no I/O until it is restored\n`,
      err: '',
    })
    expect(await states(0)).toEqual(['up', 'disabled'])
    const restored = await remote('path', 'restore', 'vol-0', 'memory:..port1/lun0', '--json')
    expect(JSON.parse(restored.out)).toEqual({ pair: 'vol-0', path: port1, restored: true })
    expect(await remote('path', 'fail', 'vol-0', 'lun0')).toEqual({
      code: 1,
      out: '',
      err: `blockbraid: "lun0" is a part of several: memory:array0/port0/lun0, ${port1}; say more of one\n`,
    })
    expect((await remote('path', 'fail', 'vol-0', 'port7')).err).toBe(
      `blockbraid: vol-0 has memory:array0/port0/lun0, ${port1}; it has no path port7\n`,
    )
    expect((await remote('prove', 'port0/lun1', 'port1/lun1')).out).toContain('memory:array0/port1/lun1\n')
  })

  it('is listed for some pairs, or in a line for each', async () => {
    await up()
    await remote('path', 'fail', 'vol-1', 'port0')
    const { pairs } = JSON.parse((await remote('ls', 'vol-1', '--json')).out) as Listing
    expect(pairs.map(({ name }) => name)).toEqual(['vol-1'])
    expect((await remote('ls', 'vol-0')).out).not.toContain('vol-1')
    expect((await remote('ls', 'vol-1', pairs[0]!.node, 'vol-0', '--short')).out).toMatch(
      /^vol-0 +1 MiB +active +2\/2 paths +\S+\nvol-1 +2 MiB +degraded +1\/2 paths +\S+\n$/,
    )
    expect(await remote('ls', 'vol-0', 'vol-9')).toEqual({
      code: 1,
      out: '',
      err: 'blockbraid: there is no pair vol-9; up are vol-0, vol-1\n',
    })
  })

  it('exchanges a policy with options, which are checked as in a config', async () => {
    await up()
    await writeFile(
      join(folder, 'shows.mjs'),
      `export default (options) => {
  let paths = []
  return { name: JSON.stringify(options), update(p) { paths = p }, select: () => paths[0] }
}`,
    )
    const given = ['a=1', 'b=true', 'c=text', 'd=1=2', 'e=', 'f=[1', 'g="7"'].flatMap((one) => ['--option', one])
    expect(await remote('policy', 'vol-0', './shows.mjs', ...given)).toMatchObject({ code: 0, err: '' })
    expect(JSON.parse((await listing()).pairs[0]!.policy)).toEqual({
      a: 1,
      b: true,
      c: 'text',
      d: '1=2',
      e: '',
      f: '[1',
      g: '7',
    })
    const robin = (option: string) => remote('policy', 'vol-0', 'round-robin', '--option', option)
    expect(await robin('minIos=4')).toMatchObject({ code: 0 })
    expect((await robin('minIos=0')).err).toBe(
      'blockbraid: policy round-robin: minIos is 0: it must be a whole number, 1 or more\n',
    )
    expect((await robin('minIo=4')).err).toBe(
      'blockbraid: policy round-robin: minIo is not a known option: did you mean minIos?\n',
    )
    expect(await robin('minIos')).toEqual({
      code: 2,
      out: '',
      err: 'blockbraid: --option is "minIos"; it must be key=value, such as minIos=4\n',
    })
  })

  it.each([
    ['select: (io) => paths[0].nope()', 'select threw for a read at FILE:3: paths[0].nope is not a function'],
    ['select: (io) => (io.op === 2 ? paths[7] : paths[0])', 'select returned undefined for a flush'],
    ['select: async () => paths[0]', 'select returned a promise for a read'],
  ])('says at once that a policy picks no path: %s', async (select, words) => {
    await up()
    const file = join(folder, 'bad.mjs')
    await writeFile(
      file,
      `export default () => { let paths = []
  return { name: 'bad', update(p) { paths = p },
    ${select} } }`,
    )
    const { code, out, err } = await remote('policy', 'vol-0', './bad.mjs')
    expect([code, out]).toEqual([1, ''])
    expect(err).toContain(
      `blockbraid: vol-0 now uses ./bad.mjs, which fails: policy bad: ${words.replace('FILE', file)}`,
    )
    expect(err).toMatch(/; the first path serves meanwhile\n$/)
    const result = await remote('policy', 'vol-0', './bad.mjs', '--json')
    expect(JSON.parse(result.out)).toMatchObject({ pair: 'vol-0', policy: './bad.mjs', fault: expect.any(String) })
    expect(result.code).toBe(1)
  })

  it('keeps the policy where the new one cannot begin, and says where that is', async () => {
    await up()
    await writeFile(
      join(folder, 'bad.mjs'),
      "export default () => ({ name: 'bad',\n update() { throw new Error('no') }, select() {} })",
    )
    expect(await remote('policy', 'vol-0', './bad.mjs')).toEqual({
      code: 1,
      out: '',
      err: `blockbraid: policy ${folder}/bad.mjs: update threw at ${folder}/bad.mjs:2: no; round-robin stays\n`,
    })
    expect((await listing()).pairs[0]!.policy).toBe('round-robin')
  })

  it.each([
    ['', 'undefined'],
    ["name: '',", 'empty'],
  ])('does not say of a policy without a name that its update threw: { %s }', async (name, is) => {
    await up()
    await writeFile(join(folder, 'bad.mjs'), `export default () => ({ ${name} update() {}, select() {} })`)
    expect(await remote('policy', 'vol-0', './bad.mjs')).toEqual({
      code: 1,
      out: '',
      err: `blockbraid: policy ${folder}/bad.mjs: its factory returned no policy: its name is ${is}, and must be a text\n`,
    })
    expect((await listing()).pairs[0]!.policy).toBe('round-robin')
  })

  it('ends a pair for good, and rescans', async () => {
    await up()
    expect(await remote('down', 'vol-0')).toMatchObject({ code: 0, out: 'vol-0 is down\n' })
    expect(await remote('rescan', '--json').then(({ out }) => JSON.parse(out))).toEqual({
      added: [],
      removed: [],
      paired: [],
      errors: [],
    })
    expect((await listing()).pairs.map(({ name }) => name)).toEqual(['vol-1'])
    expect(await readdir(folder)).not.toContain('vol-0.sock')
    expect(await remote('down', 'vol-0')).toEqual({
      code: 1,
      out: '',
      err: 'blockbraid: there is no pair vol-0; up are vol-1; no kernel node of this host is named vol-0\n',
    })
  })

  it('ends a stalled pair at once, and says what became of its I/O', async () => {
    await up(`{ use: ${reading} }`)
    for (const port of [0, 1]) await remote('path', 'fail', 'vol-0', `memory:array0/port${port}/lun0`)
    await expect.poll(async () => (await listing()).pairs[0]!.parked, LONG).toBe(4)
    expect(await remote('down', 'vol-0')).toMatchObject({
      code: 0,
      out: 'vol-0 is down; no path was usable: I/O that waited has failed\n',
    })
    expect(JSON.parse((await remote('down', 'vol-1', '--json')).out)).toEqual({
      pair: 'vol-1',
      down: true,
      stalled: false,
    })
  })

  it('rescans what it can where a target fails, and then fails', async () => {
    const deaf = fileURLToPath(new URL('fixtures/deaf-target.ts', import.meta.url))
    await writeFile(join(folder, 'bb.yaml'), config(sockets).replace('targets:', `targets:\n  - use: ${deaf}`))
    agent = begin(folder, ['up', 'bb.yaml', '--json'], { FOLDER: folder })
    const { output } = agent
    await expect.poll(() => output.out, LONG).toContain('}\n')
    expect(output.err).toBe('blockbraid: target deaf: nobody answers\n')
    expect(await remote('rescan')).toEqual({
      code: 1,
      out: 'nothing changed\n',
      err: 'blockbraid: target deaf: nobody answers\n',
    })
  })

  it('counts', async () => {
    await up(`{ use: ${reading} }`)
    await expect.poll(async () => (await listing()).pairs[0]!.paths[0]!.ios, LONG).toBeGreaterThan(20)
    const { pairs } = JSON.parse((await remote('stats', '--json')).out)
    expect(Object.keys(pairs[0])).toEqual(['name', 'policy', 'state', 'parked', 'queued', 'paths'])
    const { p50Us, p99Us, bytes, ios } = pairs[0].paths[0]
    expect(p99Us).toBeGreaterThanOrEqual(p50Us)
    expect(p50Us).toBeGreaterThan(0)
    expect(bytes).toBe(ios * 4096)
    expect((await remote('stats')).out).toContain('vol-0  round-robin, active')
    expect((await remote('ls')).out).toMatch(/port0\/lun0 optimized +up +\d+ +[1-9]/)
  })

  it('shows more and more until it is interrupted', async () => {
    await up()
    const top = begin(folder, ['top', '--json', '--control', control])
    await expect.poll(() => top.output.out.split('\n').length, LONG).toBeGreaterThan(2)
    top.interrupt()
    expect((await top.ended).code).toBe(0)
    for (const line of top.output.out.trim().split('\n')) expect(JSON.parse(line).pairs).toHaveLength(2)
  })

  it('refuses to be a second one, and does no harm', async () => {
    await up()
    const second = await run(folder, 'up', 'bb.yaml')
    expect(second.code).toBe(1)
    const other = begin(folder, ['up', 'bb.yaml'], { FOLDER: folder })
    expect(await other.ended).toMatchObject({
      code: 1,
      out: '',
      err: `blockbraid: an agent runs already: pid ${process.pid} on ${control}; "blockbraid up --take-over" replaces it\n`,
    })
    expect(await states(0)).toEqual(['up', 'up'])
  })

  it('shares one listening transport between devices with one address', async () => {
    const { output } = await up('{ use: nbd, socket: ${FOLDER}/all.sock }')
    expect(JSON.parse(output.out).pairs.map(({ node }: { node: string }) => node)).toEqual(
      [0, 1].map((n) => `nbd+unix:///vol-${n}?socket=${folder}/all.sock`),
    )
  })

  it('shows long path ids whole where no terminal reads them', async () => {
    await writeFile(
      join(folder, 'bb.yaml'),
      config(sockets).replace('- use: memory', `- use: memory\n    name: ${'n'.repeat(60)}`),
    )
    agent = begin(folder, ['up', 'bb.yaml', '--json'], { FOLDER: folder })
    const { output } = agent
    await expect.poll(() => output.out, LONG).toContain('}\n')
    const piped = start(['ls', '--control', control], folder)
    expect(await piped.ended).toBe(0)
    expect(piped.output.out).toContain(`|- memory:${'n'.repeat(60)}/port0/lun0 optimized     up `)
    const shown = (await remote('ls')).out
    expect(shown).toContain('nn/port0/lun0 optimized')
    expect(Math.max(...shown.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80)
  })

  it('leaves nothing behind when it cannot start', async () => {
    await writeFile(join(folder, 'bb.yaml'), config('{ use: nbd, socket: ${FOLDER}/all.sock, maxConnections: {n} }'))
    const { code } = await begin(folder, ['up', 'bb.yaml'], { FOLDER: folder }).ended
    expect(code).toBe(1)
    await writeFile(
      join(folder, 'bb.yaml'),
      config('{ use: nbd, socket: ${FOLDER}/all.sock }').replace('vol-{n}', 'same'),
    )
    expect(await begin(folder, ['up', 'bb.yaml'], { FOLDER: folder }).ended).toMatchObject({
      code: 1,
      out: '',
      err: expect.stringMatching(
        /^blockbraid: \S+\/bb\.yaml:7:5: pair same: two devices would be named same, naa\.\w+ and naa\.\w+: put \{n\} or \{volume\} into the name\n$/,
      ),
    })
    expect(await readdir(folder)).toEqual(['bb.yaml'])
  })
})

describe('up as a process', () => {
  async function spawnUp(transport: string, args: string[] = []): Promise<Running> {
    await writeFile(join(folder, 'bb.yaml'), config(transport).replaceAll('${FOLDER}', folder))
    const running = start(['up', 'bb.yaml', ...args], folder)
    command = running
    await expect.poll(() => running.output.out, LONG).toContain('Ctrl-C ends it')
    return running
  }

  it('ends with 0 on a signal, with I/O under way, and removes its sockets', async () => {
    const { child, ended, output } = await spawnUp(`{ use: ${reading} }`)
    await expect.poll(async () => (await listing()).pairs[0]!.paths[0]!.ios, LONG).toBeGreaterThan(20)
    child.kill('SIGTERM')
    expect(await ended).toBe(0)
    expect(output.err).toBe('')
    expect(await readdir(folder)).toEqual(['bb.yaml'])
  })

  // In a process of its own: what a test runner imports is not what Node keeps.
  it('reads a policy again after each edit, whatever kind of module it is', async () => {
    await spawnUp(sockets)
    for (const [name, exporting] of [
      ['mine.mjs', 'export default'],
      ['mine.cjs', 'module.exports ='],
      ['mine.js', 'module.exports ='],
    ] as const) {
      for (const [index, word] of ['first', 'second', 'third'].entries()) {
        const text = `${exporting} () => { let all = []; return { name: '${word}', update(paths) { all = paths }, select: () => all[0] } }`
        await writeFile(join(folder, name), text)
        await utimes(join(folder, name), index, index)
        expect(await remote('policy', 'vol-0', `./${name}`)).toMatchObject({ code: 0, err: '' })
        expect((await listing()).pairs[0]!.policy).toBe(word)
      }
    }
  })

  it.each(['mjs', 'js', 'ts'])('says which line of a policy cannot be parsed: %s', async (kind) => {
    const file = join(folder, `mine.${kind}`)
    await writeFile(file, `export default () => {\n  return (\n`)
    await writeFile(
      join(folder, 'bb.yaml'),
      config(`{ use: ${reading} }`).replace('policy: round-robin', `policy: ./mine.${kind}`),
    )
    command = start(['up', 'bb.yaml', '--control', control], folder)
    expect(await command.ended).toBe(1)
    expect(command.output.err).toMatch(
      /^blockbraid: \S+bb\.yaml:9:13: cannot load policy \.\/mine\.\w+: [^\n]+ \(\S+\)\n$/,
    )
    expect(command.output.err).toMatch(new RegExp(` \\(${file}:[23]\\)\n$`))
  })

  it('ends in order when its terminal is closed, and lives on when only its output is', async () => {
    const { child, ended } = await spawnUp(`{ use: ${reading} }`)
    child.stdout?.destroy()
    child.stderr?.destroy()
    for (const port of [0, 1]) await remote('path', 'fail', 'vol-0', `memory:array0/port${port}/lun0`)
    for (const port of [0, 1]) await remote('path', 'restore', 'vol-0', `memory:array0/port${port}/lun0`)
    await expect.poll(async () => (await listing()).pairs[0]?.state, LONG).toBe('active')
    child.kill('SIGHUP')
    expect(await ended).toBe(0)
    expect(await readdir(folder)).toEqual(['bb.yaml'])
  })

  // closeInTime gives up after 1.8 s and then ends with 1: code 0 says that it was faster.
  it('ends with 0 while it is stalled, which ls shows', async () => {
    const { child, ended } = await spawnUp(`{ use: ${reading} }`)
    for (const port of [0, 1]) await remote('path', 'fail', 'vol-0', `memory:array0/port${port}/lun0`)
    await expect.poll(async () => (await listing()).pairs[0], LONG).toMatchObject({ state: 'stalled', parked: 4 })
    expect((await remote('ls')).out).toContain('STALLED, 4 I/Os wait')
    child.kill('SIGINT')
    expect(await ended).toBe(0)
    expect(await readdir(folder)).toEqual(['bb.yaml'])
  })

  it('ends with 1 at once on the second signal', async () => {
    const { child, ended } = await spawnUp(`{ use: ${reading} }`)
    for (const port of [0, 1]) await remote('path', 'fail', 'vol-0', `memory:array0/port${port}/lun0`)
    await expect.poll(async () => (await listing()).pairs[0]!.parked, LONG).toBe(4)
    child.kill('SIGINT')
    // The control socket goes first: once nobody answers, the first signal was heard.
    await expect.poll(() => listing().catch(() => 'gone'), LONG).toBe('gone')
    child.kill('SIGINT')
    expect(await ended).toBe(1)
  })

  it('takes over what a killed one left', async () => {
    const first = await spawnUp('{ use: nbd, socket: ${FOLDER}/{name}.sock }')
    first.child.kill('SIGKILL')
    await first.ended
    expect((await readdir(folder)).sort()).toEqual(['bb.yaml', 'control.sock', 'vol-0.sock', 'vol-1.sock'])
    const second = await spawnUp('{ use: nbd, socket: ${FOLDER}/{name}.sock }')
    expect(await states(0)).toEqual(['up', 'up'])
    second.child.kill('SIGINT')
    expect(await second.ended).toBe(0)
    expect(await readdir(folder)).toEqual(['bb.yaml'])
  })
})
