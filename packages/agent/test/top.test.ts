import { spawn, spawnSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Listing, PairListing } from '../src/snapshot/listing.ts'
import { keysOf } from '../src/top/keys.ts'
import { loadsBetween } from '../src/top/rates.ts'
import { createView } from '../src/top/view.ts'
import type { InProcess } from './fixtures/terminal.ts'
import { begin } from './fixtures/terminal.ts'

const LONG = { timeout: 15_000 }
const SIZE = { columns: 80, rows: 24 }
const NOW = new Date('2026-11-22T10:00:00')

const pair = (n: number, change: Partial<PairListing> = {}, ios = 0): PairListing => ({
  name: `vol-${n}`,
  volume: `naa.${String(n).padStart(16, '0')}`,
  size: 2 ** 30,
  blockSize: 4096,
  policy: 'round-robin',
  state: 'active',
  node: `/dev/nbd${n}`,
  tookOver: false,
  parked: 0,
  paths: [0, 1].map((port) => ({
    id: `iscsi:iqn.2026-11.io.example:array/192.0.2.${port}:3260/lun${n}`,
    target: 'array',
    address: `192.0.2.${port}`,
    access: 'optimized',
    state: n === 7 && port === 1 ? 'waiting' : 'up',
    inflight: port,
    ios,
    bytes: ios * 4096,
    errors: n === 42 ? 3 : 0,
    latencyUs: 100 + n,
    since: '2026-11-22T10:00:00.000Z',
    reason: n === 7 && port === 1 ? 'no answer within 5 s' : '',
  })),
  ...change,
})
const fifty = (ios: (n: number) => number): Listing => ({
  pairs: Array.from({ length: 50 }, (_, n) => pair(n, n === 7 ? { state: 'degraded' } : {}, ios(n))),
})
const before = fifty(() => 0)
const after = fifty((n) => n * 100)
const loads = loadsBetween(before, after, 2)
const namesIn = (lines: readonly string[]): string[] => lines.flatMap((line) => /^vol-\d+/.exec(line) ?? [])

describe('a screen of 80 by 24 with 50 volumes', () => {
  it('has a line for each volume, within its size', () => {
    const lines = createView().draw(after, loads, SIZE, NOW)
    expect(lines).toHaveLength(24)
    expect(Math.max(...lines.map((line) => line.length))).toBe(80)
    expect(`\n${[...lines.slice(0, 4), ...lines.slice(8, 12), lines.at(-1)].join('\n')}\n`).toMatchInlineSnapshot(`
      "
      blockbraid  50 pairs, 1 degraded, 123k IOPS, 502 MB/s                   10:00:00
      >name                     state      paths   IOPS    MB/s  latency flight errors
      vol-0                     active       2/2      0     0.0   100 us      1      0
      vol-1                     active       2/2    100     0.4   101 us      1      0
      vol-6                     active       2/2    600     2.5   106 us      1      0
      vol-7                     degraded     1/2    700     2.9   107 us      1      0
      vol-8                     active       2/2    800     3.3   108 us      1      0
      vol-9                     active       2/2    900     3.7   109 us      1      0
      j k PgUp PgDn  sort: n i m l e  r reverse  p paths  q quit      1-21 of 50 lines
      "
    `)
  })

  it('scrolls by lines and pages, and not beyond its ends', () => {
    const view = createView()
    const shown = (...keys: Parameters<typeof view.press>[0][]): string => {
      for (const key of keys) view.press(key)
      const names = namesIn(view.draw(after, loads, SIZE, NOW))
      return `${names[0]} to ${names.at(-1)}`
    }
    expect(shown()).toBe('vol-0 to vol-20')
    expect(shown('up')).toBe('vol-0 to vol-20')
    expect(shown('down', 'down')).toBe('vol-2 to vol-22')
    expect(shown('pageDown')).toBe('vol-23 to vol-43')
    expect(shown('pageDown', 'down')).toBe('vol-29 to vol-49')
    expect(shown('pageUp')).toBe('vol-8 to vol-28')
    expect(shown('last')).toBe('vol-29 to vol-49')
    expect(shown('first')).toBe('vol-0 to vol-20')
  })

  it('sorts by name, IOPS, MB/s, latency and errors, and the other way round', () => {
    const view = createView()
    const first = (...keys: Parameters<typeof view.press>[0][]): string | undefined => {
      for (const key of keys) view.press(key)
      return namesIn(view.draw(after, loads, SIZE, NOW))[0]
    }
    for (const key of ['iops', 'rate', 'latency'] as const) {
      expect(first(key)).toBe('vol-49')
      expect(first('reverse')).toBe('vol-0')
    }
    expect(first('errors')).toBe('vol-42')
    expect(first('name')).toBe('vol-0')
    expect(first('reverse')).toBe('vol-49')
  })

  it('shows paths where they fit or are asked for, with why they are not up', () => {
    const view = createView()
    expect(view.draw({ pairs: after.pairs.slice(0, 7) }, loads, SIZE, NOW).join('\n')).toContain('`- ')
    view.draw(after, loads, SIZE, NOW)
    view.press('paths')
    view.press('pageDown')
    const lines = view.draw(after, loads, SIZE, NOW)
    expect(`\n${lines.slice(2, 7).join('\n')}\n`).toMatchInlineSnapshot(`
      "
      vol-7                     degraded     1/2    700     2.9   107 us      1      0
      |- iscsi:i...0:3260/lun7  up                  350     1.4   107 us      0      0
      \`- iscsi:i...1:3260/lun7  waiting             350     1.4   107 us      1      0
           no answer within 5 s
      vol-8                     active       2/2    800     3.3   108 us      1      0
      "
    `)
    expect(lines.at(-1)).toContain('22-42 of 151 lines')
  })

  it('is no wider than a narrow one, and says so where there is nothing', () => {
    for (const [columns, rows] of [
      [40, 10],
      [20, 3],
      [200, 60],
    ] as const) {
      const lines = createView().draw(after, loads, { columns, rows }, NOW)
      expect(lines).toHaveLength(rows)
      expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(columns)
    }
    expect(createView().draw({ pairs: [] }, new Map(), SIZE, NOW)[0]).toMatch(/^blockbraid {2}0 pairs, 0 IOPS/)
  })
})

describe('keys', () => {
  it.each([
    ['jk', ['down', 'up']],
    ['\x1b[A\x1b[B\x1bOA', ['up', 'down', 'up']],
    ['\x1b[5~\x1b[6~ b', ['pageUp', 'pageDown', 'pageDown', 'pageUp']],
    ['\x1b[H\x1b[4~gG', ['first', 'last', 'first', 'last']],
    ['nimle', ['name', 'iops', 'rate', 'latency', 'errors']],
    ['rpq\x03\x1a', ['reverse', 'paths', 'quit', 'quit', 'suspend']],
    ['x\x1b\x1b[1;5Cä\n', []],
  ])('%j', (text, keys) => {
    expect(keysOf(text)).toEqual(keys)
  })
})

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url))
const hasPython = spawnSync('python3', ['-c', 'import pty']).status === 0

// A terminal of 80 by 24 in which the command runs: what it writes is passed on, what comes in are keys.
const PTY = `
import fcntl, os, pty, select, struct, sys, termios
pid, fd = pty.fork()
if pid == 0:
    os.execvp(sys.argv[1], sys.argv[1:])
fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack('HHHH', 24, 80, 0, 0))
before = termios.tcgetattr(fd)
keys = True
while True:
    ready, _, _ = select.select([fd, 0] if keys else [fd], [], [])
    if 0 in ready:
        data = os.read(0, 4096)
        keys = len(data) > 0
        os.write(fd, data)
    if fd in ready:
        try:
            data = os.read(fd, 65536)
        except OSError:
            break
        if len(data) == 0:
            break
        os.write(1, data)
same = termios.tcgetattr(fd)[:4] == before[:4]
_, status = os.waitpid(pid, 0)
print('exit', os.waitstatus_to_exitcode(status), 'restored' if same else 'left raw')
`

describe.skipIf(!hasPython)('at a terminal', () => {
  let folder: string
  let agent: InProcess
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'bb-top-'))
    const volumes = Array.from({ length: 50 }, () => '{ size: 1MiB }').join(', ')
    const transport = `{ use: ${here('fixtures/holding-transport.ts')} }`
    await writeFile(
      join(folder, 'bb.yaml'),
      `control: ${folder}/c.sock\ntargets: [{ use: memory, ports: 2, volumes: [${volumes}] }]\n` +
        `devices: [{ volume: "*", name: "vol-{n}", transport: ${transport} }]\n`,
    )
    agent = begin(folder, ['up', 'bb.yaml', '--json'])
    await expect.poll(() => agent.output.out, LONG).toContain('}\n')
  })
  afterEach(async () => {
    agent.interrupt()
    await agent.ended
    await rm(folder, { recursive: true })
  })

  const open = () => {
    const command = [process.execPath, '--import', here('fixtures/sources.mjs'), here('../src/cli.ts')]
    const child = spawn('python3', ['-c', PTY, ...command, 'top', '--control', join(folder, 'c.sock')])
    let out = ''
    child.stdout.on('data', (chunk) => {
      out += String(chunk)
    })
    child.stderr.on('data', (chunk) => {
      out += String(chunk)
    })
    return {
      press: (keys: string) => child.stdin.write(keys),
      out: () => out,
      ended: new Promise<string>((resolve) => child.on('close', () => resolve(out))),
    }
  }

  it.each([
    ['q', 'q'],
    ['Ctrl-C', '\x03'],
  ])('shows all volumes as one scrolls, and gives the terminal back on %s', async (_name, key) => {
    const top = open()
    await expect.poll(top.out, LONG).toContain('1-21 of 50 lines')
    expect(top.out()).not.toContain('vol-49')
    top.press('G')
    await expect.poll(top.out, LONG).toContain('vol-49')
    top.press(key)
    expect((await top.ended).split('\x1b[?25h\x1b[?1049l')[1]?.trim()).toBe('exit 0 restored')
  })

  it('gives the terminal back when the agent goes away, and then says so', async () => {
    const top = open()
    await expect.poll(top.out, LONG).toContain('1-21 of 50 lines')
    agent.interrupt()
    expect((await top.ended).split('\x1b[?1049l')[1]).toMatch(/^blockbraid: .+\s+exit 1 restored\s*$/)
  })
})
