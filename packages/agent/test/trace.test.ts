import { mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { readTrace } from '@blockbraid/testkit'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { encodeRequest } from '../src/control/protocol.ts'
import type { InProcess } from './fixtures/terminal.ts'
import { begin, run } from './fixtures/terminal.ts'

const LONG = { timeout: 15_000 }
const reading = fileURLToPath(new URL('fixtures/reading-transport.ts', import.meta.url))

let folder: string
let agent: InProcess

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bb-trace-'))
  await writeFile(
    join(folder, 'bb.yaml'),
    `control: ${folder}/control.sock
targets: [{ use: memory, volumes: [{ size: 1MiB }], ports: 2, latency: { base: 500 } }]
devices: [{ volume: "*", name: vol-0, policy: round-robin, transport: { use: ${reading}, depth: 2 } }]
`,
  )
  agent = begin(folder, ['up', 'bb.yaml', '--json'])
  await Promise.race([agent.ended, expect.poll(() => agent.output.out, LONG).toContain('}\n')])
  expect(agent.output.err).toBe('')
})
afterEach(async () => {
  agent.interrupt()
  await agent.ended
  await rm(folder, { recursive: true })
})

const remote = (...args: string[]) => run(folder, ...args, '--control', join(folder, 'control.sock'))
const at = (name: string): string => join(folder, name)

it('trace writes what a pair does into a file for its user alone, until its time is over', async () => {
  const { code, out } = await remote('trace', 'vol-0', 'load.trace', '--seconds', '0.5')
  expect(code).toBe(0)
  expect(out).toMatch(/^vol-0: .*iB in .*load\.trace; readTrace of @blockbraid\/testkit reads it\n$/)
  expect((await stat(at('load.trace'))).mode & 0o777).toBe(0o600)
  const records = [...readTrace(await readFile(at('load.trace')))]
  expect(records[0]).toMatchObject({ kind: 'start', wall: expect.closeTo(Date.now(), -5) })
  const picks = records.filter(({ kind }) => kind === 'pick')
  expect(picks.length).toBeGreaterThan(10)
  expect(picks[0]).toMatchObject({ policy: 'round-robin', count: 2 })
  expect(records.at(-1)).toMatchObject({ kind: 'end', why: 'it was ended' })
})

it('trace goes on until Ctrl-C; meanwhile nobody else gets one of that pair', async () => {
  const first = begin(folder, ['trace', 'vol-0', 'first.trace', '--control', at('control.sock')])
  await expect
    .poll(
      () =>
        stat(at('first.trace')).then(
          ({ size }) => size,
          () => 0,
        ),
      LONG,
    )
    .toBeGreaterThan(1000)
  expect(await remote('trace', 'vol-0', 'second.trace')).toMatchObject({
    code: 1,
    err: 'blockbraid: vol-0 is traced already: one trace of a pair at a time\n',
  })
  await expect(stat(at('second.trace'))).rejects.toMatchObject({ code: 'ENOENT' })
  first.interrupt()
  expect((await first.ended).code).toBe(0)
  expect([...readTrace(await readFile(at('first.trace')))].at(-1)).toMatchObject({ kind: 'end' })
})

it('trace touches no file that is there, nor what a link leads to, and says which pairs there are', async () => {
  await writeFile(at('there'), 'mine')
  await symlink(at('victim'), at('link'))
  for (const name of ['there', 'link']) {
    const { code, err } = await remote('trace', 'vol-0', name, '--seconds', '1')
    expect({ code, err }).toEqual({ code: 1, err: `blockbraid: ${at(name)} is there already: name another file\n` })
  }
  expect(await readFile(at('there'), 'utf8')).toBe('mine')
  await expect(stat(at('victim'))).rejects.toMatchObject({ code: 'ENOENT' })
  expect((await remote('trace', 'vol-7', 'x')).err).toBe('blockbraid: there is no pair vol-7; up are vol-0\n')
  expect(await remote('trace', 'vol-0', 'x', '--seconds', 'soon')).toMatchObject({ code: 2 })
})

it('a client that does not read holds no I/O up, and one that goes ends its trace', async () => {
  const socket = createConnection(at('control.sock'))
  socket.pause()
  socket.write(encodeRequest({ op: 'trace', pair: 'vol-0' }))
  const iosOf = async (): Promise<number> => {
    const { pairs } = JSON.parse((await remote('stats', '--json')).out)
    return pairs[0].paths.reduce((sum: number, { ios }: { ios: number }) => sum + ios, 0)
  }
  await expect.poll(async () => (await remote('trace', 'vol-0', 'y')).err, LONG).toContain('is traced already')
  const before = await iosOf()
  await expect.poll(iosOf, LONG).toBeGreaterThan(before + 100)
  socket.destroy()
  await expect.poll(async () => (await remote('trace', 'vol-0', 'z', '--seconds', '0.1')).code, LONG).toBe(0)
})

it('why is asked over the control socket, in words and as JSON', async () => {
  await remote('path', 'fail', 'vol-0', 'port1')
  const { out } = await remote('why', 'vol-0')
  expect(out).toMatch(
    /^vol-0 is degraded, 1\/2 paths up, at \d\d:\d\d:\d\dZ\n {2}BAD {2}array0 controller 1 port 1, down since /,
  )
  expect(JSON.parse((await remote('why', 'vol-0', '--json')).out)).toMatchObject({
    pair: { name: 'vol-0', state: 'degraded' },
    failovers: [{ ended: null, open: ['memory:array0/port1/lun0'], lines: [{ kind: 'out' }, { kind: 'routed' }] }],
  })
})
