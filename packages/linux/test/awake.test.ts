import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { stayAwake } from '../src/index.ts'

// The machine may be busy.
const PATIENT = { timeout: 20_000 }

// Milliseconds that the event loop sleeps while `milliseconds` pass.
async function asleep(milliseconds: number): Promise<number> {
  const before = performance.nodeTiming.idleTime
  await sleep(milliseconds)
  return performance.nodeTiming.idleTime - before
}

it('the loop looks without sleeping, until the time is up', async () => {
  // Other processes may have the core for all of a window: then in another one.
  await expect
    .poll(async () => {
      stayAwake(10_000)
      return asleep(8)
    }, PATIENT)
    .toBeLessThan(2)
  await expect.poll(() => asleep(20), PATIENT).toBeGreaterThan(15)
})

it('0 ends it at once, before it began too', async () => {
  await expect
    .poll(async () => {
      stayAwake(0)
      stayAwake(10_000)
      stayAwake(0)
      return asleep(8)
    }, PATIENT)
    .toBeGreaterThan(5)
})

it('names wrong arguments', () => {
  expect(() => stayAwake(-1)).toThrow(/^microseconds is -1, must be an integer from 0 to 10000$/)
  expect(() => stayAwake(10_001)).toThrow(/^microseconds is 10001/)
  expect(() => stayAwake(0.5)).toThrow(TypeError)
})

const program = join(import.meta.dirname, 'programs/awake.ts')

it('keeps no process alive, and makes no garbage', () => {
  const printed = execFileSync(process.execPath, ['--expose-gc', program], { encoding: 'utf8' })
  const { turns, bytes } = JSON.parse(printed) as { turns: number; bytes: number }
  expect(turns).toBeLessThan(100)
  // Of 100,000 calls.
  expect(bytes).toBeLessThan(100_000)
})
