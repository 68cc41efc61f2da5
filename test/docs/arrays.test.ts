import { execFile, spawn } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, describe, expect, it } from 'vitest'

const run = promisify(execFile)
const command = join(import.meta.dirname, '../../packages/agent/bin/blockbraid.js')
const page = await readFile('docs/arrays.md', 'utf8')
const [, lab = ''] = /```yml\n(.*?)```/s.exec(page) ?? []
const folder = await mkdtemp(join(tmpdir(), 'bb-arrays-'))
afterAll(() => rm(folder, { recursive: true }))

/** What is told to an array that runs, in the order of the page: the snippets first, then each row of the table. */
const told = [...page.matchAll(/^blockbraid array lab\.yaml ([a-z][^#\n]*)/gm)].map(([, words]) => words!.trim())

describe('the page about simulated arrays', () => {
  it('has an array that serves, and takes each command that it shows', { timeout: 60_000 }, async () => {
    // Elsewhere these ports may be in use.
    const free = lab.replaceAll(/127\.0\.0\.1:\d+/g, '127.0.0.1:0').replace('port: 4421', 'port: 0')
    await writeFile(join(folder, 'lab.yaml'), `control: ${folder}/lab.sock\n${free}`)
    const serving = spawn(process.execPath, [command, 'array', 'lab.yaml', '--json'], { cwd: folder })
    const ended = new Promise((resolve) => serving.on('close', resolve))
    try {
      let out = ''
      serving.stdout.on('data', (chunk) => {
        out += String(chunk)
      })
      await expect.poll(() => out, { timeout: 20_000 }).toContain('}\n')
      expect(told.length).toBeGreaterThan(5)
      for (const words of told) await run(process.execPath, [command, 'array', 'lab.yaml', words], { cwd: folder })
      const { stdout } = await run(process.execPath, [command, 'array', 'lab.yaml', 'ls', '--json'], { cwd: folder })
      expect(JSON.parse(stdout)).toMatchObject({
        ports: [{ use: 'iscsi' }, { use: 'iscsi' }, { use: 'nvmeof' }, { use: 'nvmeof' }],
        volumes: [{ at: { length: 4 } }, { at: { length: 4 } }],
        violations: [],
      })
    } finally {
      serving.kill('SIGINT')
      await ended
    }
  })

  it('shows every command that there is', async () => {
    const { stdout } = await run(process.execPath, [command, 'array', '--help'])
    const verbs = [...stdout.matchAll(/^ {2}(?:port N|volume V|volume) ([a-z-]+(?:\|[a-z-]+)?)/gm)].map(
      ([, verb]) => verb!,
    )
    expect(verbs.length).toBeGreaterThan(8)
    for (const verb of verbs.flatMap((one) => one.split('|'))) expect(page).toContain(` ${verb}`)
  })
})
