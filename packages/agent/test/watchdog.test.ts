import { mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { Running } from './fixtures/command.ts'
import { start } from './fixtures/command.ts'
import { run } from './fixtures/terminal.ts'

const LONG = { timeout: 60_000 }

let folder: string
let control: string
let agent: Running

// Loops until a file appears, so that a test decides how long the event loop stands still.
const policy = `import { existsSync } from 'node:fs'
export default () => ({ name: 'loops', update() { standStill() }, select() {} })
function standStill() {
  while (!existsSync('go'));
}
`

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bb-watchdog-'))
  control = join(folder, 'control.sock')
  await writeFile(join(folder, 'loops.mjs'), policy)
  await writeFile(
    join(folder, 'bb.yaml'),
    `control: ${control}
targets: [{ use: memory, volumes: [{ size: 1MiB }] }]
devices:
  - { volume: "*", name: disk, policy: round-robin, transport: { use: nbd, socket: ${folder}/disk.sock } }
`,
  )
  agent = start(['up', 'bb.yaml'], folder)
  await expect.poll(() => agent.output.out, LONG).toContain('1 pair is up')
})
afterEach(async () => {
  agent.child.kill('SIGKILL')
  await agent.ended
  await rm(folder, { recursive: true })
})

const remote = (...args: string[]) => run(folder, ...args, '--control', control)

/** TCP ports that the process listens on. */
async function listening(pid: number): Promise<number> {
  const tables = await Promise.all(['tcp', 'tcp6'].map((name) => readFile(`/proc/${pid}/net/${name}`, 'utf8')))
  const rows = tables.flatMap((table) => table.split('\n').map((line) => line.trim().split(/\s+/)))
  const inodes = new Set(rows.filter((row) => row[3] === '0A').map((row) => `socket:[${row[9]}]`))
  const fds = await readdir(`/proc/${pid}/fd`)
  const links = await Promise.all(fds.map((fd) => readlink(`/proc/${pid}/fd/${fd}`).catch(() => '')))
  return links.filter((link) => inodes.has(link)).length
}

describe('an event loop that stands still', { timeout: 120_000 }, () => {
  it('is told on stderr with what runs, commands say which process does not answer, and its end is told', async () => {
    const pid = agent.child.pid!
    const silent = new RegExp(`^blockbraid: .*agent ${pid} does not answer within \\d+ s .*"kill -9 ${pid}" ends it`)
    // The agent was well when this began, and hangs while it works on it.
    expect(await remote('policy', 'disk', './loops.mjs')).toMatchObject({ code: 1, err: expect.stringMatching(silent) })
    await expect
      .poll(() => agent.output.err, LONG)
      .toMatch(new RegExp(`pid ${pid}: the event loop has stood still for [\\d.]+ s: .*standStill`))
    expect(agent.output.err).toMatch(/standStill \(\S*\/loops\.mjs:4, policy \S*loops\.mjs\)/)
    expect(await remote('ls')).toMatchObject({ code: 1, err: expect.stringMatching(silent) })
    expect(await remote('up', 'bb.yaml')).toMatchObject({ code: 1, err: expect.stringMatching(silent) })
    expect(await remote('up', 'bb.yaml', '--take-over')).toMatchObject({ code: 1, err: expect.stringMatching(silent) })
    await writeFile(join(folder, 'go'), '')
    await expect.poll(() => agent.output.err, LONG).toMatch(/the event loop turns again, after [\d.]+ s\n$/)
    expect(await remote('ls')).toMatchObject({ code: 0 })
    expect(await listening(pid)).toBe(0)
    agent.child.kill('SIGTERM')
    expect(await agent.ended).toBe(0)
  })

  it('is not told of a process that was stopped and goes on', async () => {
    agent.child.kill('SIGSTOP')
    const answer = await remote('ls')
    expect(answer).toMatchObject({ code: 1, err: expect.stringContaining(`agent ${agent.child.pid} does not answer`) })
    agent.child.kill('SIGCONT')
    expect(await remote('ls')).toMatchObject({ code: 0 })
    agent.child.kill('SIGTERM')
    expect(await agent.ended).toBe(0)
    expect(agent.output.err).toBe('')
  })
})
