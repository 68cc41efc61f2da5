import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, it } from 'vitest'

function run(what: string): { status: number | null; stdout: string; stderr: string } {
  const program = join(import.meta.dirname, 'programs/process.ts')
  return spawnSync(process.execPath, ['--expose-gc', program, what], { encoding: 'utf8' })
}

// Whether it is allowed depends on the machine; test/kernel/linux has it allowed.
it('sets the I/O flusher where that is allowed', () => {
  expect(run('flusher')).toMatchObject({ status: 0, stdout: expect.stringMatching(/^(done|prctl: EPERM, .*)\n$/) })
})

it('locks the program where that is allowed, and V8 lives with it', () => {
  const { status, stdout, stderr } = run('lock')
  expect(status, stderr).toBe(0)
  expect(stdout).toMatch(/^(locked \d{5,} kB|mlock: (EPERM|ENOMEM), .*)\n$/)
})
