import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import type { Held } from './programs/held.ts'
import { ringProblem } from './ring-bed.ts'

const run = promisify(execFile)

async function report<T>(program: string, ...args: string[]): Promise<T> {
  const script = join(import.meta.dirname, 'programs', program)
  const { stdout } = await run(process.execPath, ['--expose-gc', script, ...args], { timeout: 80_000 })
  return JSON.parse(stdout) as T
}

function expectNoGrowth({ before, after }: { before: Held; after: Held }): void {
  expect(after.fds).toBe(before.fds)
  expect(after.mappings).toBe(before.mappings)
  // What 10,000 rounds leave is far more, were it one page each.
  expect(after.rss - before.rss).toBeLessThan(16)
}

describe('10,000 times opened and closed', { timeout: 90_000 }, () => {
  for (const name of ['mapping', 'forgotten', 'watcher', 'ioctl', 'netlink', 'ring']) {
    it.skipIf(name === 'ring' && ringProblem !== undefined)(`leaves nothing: ${name}`, async () => {
      expectNoGrowth(await report('repeat.ts', name, '10000'))
    })
  }
})

describe('a worker that exits with everything open', { timeout: 90_000 }, () => {
  for (const how of ['end', 'exit', 'terminate', 'throw']) {
    it(`leaves nothing: ${how}`, async () => {
      expectNoGrowth(await report('workers.ts', how))
    })
  }
})
