import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'

const run = promisify(execFile)
const command = join(import.meta.dirname, '../../packages/agent/bin/blockbraid.js')

// Folders of a user, far from any node_modules that has blockbraid.
let folder: string
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bb-policy-'))
})
afterEach(() => rm(folder, { recursive: true }))

async function put(files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(join(folder, name, '..'), { recursive: true })
    await writeFile(join(folder, name), text)
  }
}

/** Starts an agent with a policy, which writes the file `seen` when it is made, and ends it. */
async function seenBy(policy: string): Promise<string> {
  await put({
    'blockbraid.yaml': `control: ./control.sock
state: ./state
targets: [{ use: memory, volumes: [{ size: 1MiB }] }]
devices: [{ volume: "*", name: disk, policy: ${policy}, transport: { use: nbd, socket: ./nbd.sock } }]
`,
  })
  const running = run(process.execPath, [command, 'up', 'blockbraid.yaml'], { cwd: folder, timeout: 30_000 })
  running.child.stdout?.on('data', (text: string) => text.includes('is up') && running.child.kill())
  await running
  return readFile(join(folder, 'seen'), 'utf8')
}

const selector = "{ name: 'mine', update() {}, select: () => undefined }"

describe('a policy beside the config, in a folder without node_modules', () => {
  it('imports values of the packages that came with the command, as do the files that it imports', async () => {
    await put({
      'policy.ts': `import { writeFileSync } from 'node:fs'
import type { PathSelector } from '@blockbraid/core'
import { BlockError, Errno } from '@blockbraid/core'
import { roundRobin } from '@blockbraid/policy-round-robin'
import { Theirs } from './lib/helper.ts'
export default function mine(): PathSelector {
  writeFileSync('seen', [Errno.EIO, typeof roundRobin, Theirs === BlockError].join(' '))
  return ${selector}
}`,
      'lib/helper.ts': "export { BlockError as Theirs } from '@blockbraid/core'",
    })
    expect(await seenBy('./policy.ts')).toBe('5 function true')
  })

  it('does so as CommonJS, and through a link', async () => {
    await put({
      'real/policy.cjs': `const { Errno } = require('@blockbraid/core')
module.exports = () => (require('node:fs').writeFileSync('seen', String(Errno.EIO)), ${selector})`,
    })
    await symlink('real/policy.cjs', join(folder, 'policy.cjs'))
    expect(await seenBy('./policy.cjs')).toBe('5')
  })

  it("gets the command's own core where a folder above has another", async () => {
    await put({
      'node_modules/@blockbraid/core/package.json': '{ "name": "@blockbraid/core", "exports": "./other.js" }',
      'node_modules/@blockbraid/core/other.js': "exports.Errno = { EIO: 'of another' }",
      'node_modules/@acme/words/package.json': '{ "name": "@acme/words", "exports": "./words.cjs" }',
      'node_modules/@acme/words/words.cjs': "exports.word = require('@blockbraid/core').Errno.EIO",
      'policy.ts': `import { writeFileSync } from 'node:fs'
import { Errno } from '@blockbraid/core'
import words from '@acme/words'
export default () => (writeFileSync('seen', [Errno.EIO, words.word].join(' ')), ${selector})`,
    })
    expect(await seenBy('./policy.ts')).toBe('5 5')
  })
})
