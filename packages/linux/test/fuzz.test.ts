import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { expect, it } from 'vitest'

it('survives wrong arguments of every native function', () => {
  const seed = Math.floor(Math.random() * 2 ** 31)
  const program = join(import.meta.dirname, 'programs/fuzz.ts')
  const printed = execFileSync(process.execPath, ['--expose-gc', program, String(seed), '20000'], { encoding: 'utf8' })
  const { calls, thrown } = JSON.parse(printed) as { calls: number; thrown: number }
  expect(calls, `seed ${seed}`).toBe(20000)
  // Most of what is tried is wrong.
  expect(thrown, `seed ${seed}`).toBeGreaterThan(10000)
})
