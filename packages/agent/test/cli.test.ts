import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { start } from './fixtures/command.ts'
import { run } from './fixtures/terminal.ts'

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bb-cli-'))
  await writeFile(
    join(folder, 'bad.yaml'),
    'targets: [use: memory]\ndevices: [{ volume: "*", transport: { use: nbd, prot: 0 } }]\n',
  )
  await writeFile(
    join(folder, 'nowhere.yaml'),
    'targets: [use: memory]\ndevices: [{ volume: "*", transport: { use: nbd } }]\n',
  )
})
afterAll(() => rm(folder, { recursive: true }))

describe('help', () => {
  it('fits one screen', async () => {
    const { code, out } = await run(folder, '--help')
    expect(code).toBe(0)
    const lines = out.trimEnd().split('\n')
    expect(lines.length).toBeLessThan(24)
    expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80)
    for (const name of [
      'demo',
      'discover',
      'up',
      'ls',
      'stats',
      'top',
      'policy',
      'path',
      'guards',
      'rescan',
      'nodes',
      'names',
      'down',
      'scsi',
      'nvme',
      'array',
    ])
      expect(out).toMatch(new RegExp(`^ {2}${name} `, 'm'))
  })

  it('is there for every command', async () => {
    expect((await run(folder, 'ls', '--help')).out).toContain('--control <path>')
    expect((await run(folder, 'up', '--help')).out).toContain('--take-over')
    expect((await run(folder, 'down', '--help')).out).toContain('--force')
    expect((await run(folder, 'path', 'fail', '--help')).out).toContain('path fail [options] <pair> <path>')
    for (const [name, words] of [
      ['scsi', 'pr register --key KEY'],
      ['discover', 'iscsi://[user[%secret]@]host[:3260]/[iqn[/lun]]'],
      ['discover', 'nvme-tcp://host[:port]/[nqn[/nsid]]'],
      ['nvme', 'resv-register --key KEY'],
      ['array', 'port N down|up'],
    ] as const) {
      const { out } = await run(folder, name, '--help')
      expect(out).toContain(words)
      expect(Math.max(...out.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80)
    }
  })
})

describe('the version', () => {
  it.each(['--version', '-V'])('is told by %s', async (option) => {
    const manifest = await readFile(new URL('../package.json', import.meta.url), 'utf8')
    const { version } = JSON.parse(manifest) as { version: string }
    expect(await run(folder, option)).toEqual({ code: 0, out: `${version}\n`, err: '' })
  })
})

describe('exit codes', () => {
  it.each([
    [[], 2, 'Usage: blockbraid'],
    [['nope'], 2, "blockbraid: unknown command 'nope'"],
    [['up'], 2, "blockbraid: missing required argument 'config'"],
    [['stats', 'extra'], 2, 'blockbraid: too many arguments'],
    [['ls', '--frobnicate'], 2, "blockbraid: unknown option '--frobnicate'"],
    [['path'], 2, 'Usage: blockbraid path'],
    [['path', 'fail', 'vol-0'], 2, "blockbraid: missing required argument 'path'"],
    [
      ['discover', 'nonsense'],
      2,
      'blockbraid: "nonsense" is not an address: it must begin with memory:, iscsi:, nvme-tcp:',
    ],
    [['discover', 'foo://u:pw@x:y/'], 2, 'blockbraid: "foo://x:y/" is not an address'],
    [
      ['discover', 'foo://u:pw@x/'],
      2,
      'blockbraid: foo://x/: unknown scheme: it must be one of memory:, iscsi:, nvme-tcp:',
    ],
    [
      ['discover', 'nvme-tcp://u:pw@x/'],
      1,
      'blockbraid: nvme-tcp://x/: an NVMe/TCP address looks like nvme-tcp://host[:port]/[subsystem[/namespace]]: it takes no user',
    ],
    [['discover', 'memory:?ports=x'], 1, 'blockbraid: memory:?ports=x: ports is "x"; it must be a whole number'],
    [['up', 'no.yaml'], 1, 'blockbraid: there is no file '],
    [['up', 'bad.yaml'], 1, '/bad.yaml:2:49: devices[0].transport.prot is not a known option: did you mean port?'],
    [['up', 'nowhere.yaml', '--control', 'c'], 1, '/nowhere.yaml:2:37: transport nbd: nbd: socket is undefined'],
    [['ls', '--control', 'none.sock'], 1, '/none.sock: start one with "blockbraid up CONFIG"'],
  ])('%j is %d', async (args, code, words) => {
    const outcome = await run(folder, ...args)
    expect(outcome.err).toContain(words)
    expect(outcome.err.trimEnd().split('\n').length === 1 || outcome.err.startsWith('Usage')).toBe(true)
    expect(outcome.err).not.toMatch(/pw@|\n {4}at /)
    expect([outcome.code, outcome.out]).toEqual([code, ''])
  })

  it('are those of the process', async () => {
    const command = start(['ls', '--frobnicate'], folder)
    expect(await command.ended).toBe(2)
    expect(command.output).toEqual({ out: '', err: "blockbraid: unknown option '--frobnicate'\n" })
  })
})

describe('discover', () => {
  it('lists volumes and their paths', async () => {
    const { code, out } = await run(folder, 'discover', 'memory:a?volumes=2&ports=2&size=1MiB', '--json')
    expect(code).toBe(0)
    const { volumes } = JSON.parse(out) as { volumes: { size: number; paths: { id: string }[] }[] }
    expect(volumes.map(({ size, paths }) => [size, paths.map(({ id }) => id)])).toEqual([
      [2 ** 20, ['memory:a/port0/lun0', 'memory:a/port1/lun0']],
      [2 ** 20, ['memory:a/port0/lun1', 'memory:a/port1/lun1']],
    ])
  })

  it('lists what it can where one address fails', async () => {
    const { code, out, err } = await run(folder, 'discover', 'memory:a?ports=1', 'memory:?ports=0')
    expect(code).toBe(1)
    expect(out).toContain('memory:a/port0/lun0')
    expect(err).toContain('memory:?ports=0: ')
  })
})
