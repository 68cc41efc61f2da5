import { execFileSync, spawnSync } from 'node:child_process'
import { openSync, readSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { closeFd, socketPair, type Watcher, watchReadable } from '../src/index.ts'

let open: (() => void)[] = []

afterEach(() => {
  for (const close of open.splice(0)) close()
  open = []
})

function pair(): [number, number] {
  const [a, b] = socketPair()
  open.push(() => closeFd(a))
  open.push(() => closeFd(b))
  return [a, b]
}

it('calls while readable, not after close', async () => {
  const [a, b] = pair()
  let calls = 0
  let watcher: Watcher | undefined
  await new Promise<void>((resolve) => {
    watcher = watchReadable(b, () => {
      calls++
      if (calls < 3) return
      watcher!.close()
      resolve()
    })
    writeSync(a, 'x')
  })
  expect(calls).toBe(3)
  watcher!.close()
  await new Promise((resolve) => setTimeout(resolve, 5))
  expect(calls).toBe(3)
})

it('runs ticks and microtasks after each call', async () => {
  const [a, b] = pair()
  const order: string[] = []
  await new Promise<void>((resolve) => {
    const watcher = watchReadable(b, () => {
      order.push('call')
      process.nextTick(() => order.push('tick'))
      Promise.resolve().then(() => order.push('microtask'))
      if (order.length < 4) return
      watcher.close()
      resolve()
    })
    writeSync(a, 'x')
  })
  expect(order.slice(0, 4)).toEqual(['call', 'tick', 'microtask', 'call'])
})

it('watches one descriptor several times, and outlives its close', async () => {
  const [a, b] = pair()
  const [c, d] = socketPair()
  const seen: string[] = []
  const watchers = ['one', 'two'].map((name) => watchReadable(d, () => seen.push(name)))
  closeFd(d)
  writeSync(c, 'x')
  const third = watchReadable(b, () => {
    seen.push('b')
    readSync(b, Buffer.alloc(1))
  })
  writeSync(a, 'x')
  await expect.poll(() => new Set(seen).size).toBe(3)
  for (const watcher of [...watchers, third]) watcher.close()
  closeFd(c)
})

it('reports a hang-up', async () => {
  const [a, b] = socketPair()
  const called = new Promise<void>((resolve) => {
    const watcher = watchReadable(b, () => {
      watcher.close()
      resolve()
    })
  })
  closeFd(a)
  await called
  closeFd(b)
})

it('refuses what cannot be waited for', () => {
  const file = openSync(import.meta.filename, 'r')
  expect(() => watchReadable(file, () => {})).toThrow(expect.objectContaining({ code: 'EPERM', syscall: 'poll' }))
  closeFd(file)
  expect(() => watchReadable(file, () => {})).toThrow(expect.objectContaining({ code: 'EBADF' }))
})

it('names wrong arguments', () => {
  expect(() => watchReadable(-1, () => {})).toThrow(/^fd is -1, must be/)
  expect(() => watchReadable(0, 'x' as never)).toThrow(/^onReadable is 'x', must be a function/)
})

const program = join(import.meta.dirname, 'programs/watch.ts')

it('hands exceptions to uncaughtException, and goes on', () => {
  expect(execFileSync(process.execPath, [program, 'caught'], { encoding: 'utf8' })).toBe('caught 1, caught 2, closed\n')
})

it('ends the process with an exception that nobody catches', () => {
  const { status, stderr } = spawnSync(process.execPath, [program, 'thrown'], { encoding: 'utf8' })
  expect(status).toBe(1)
  expect(stderr).toContain('Error: from the callback')
})

it('keeps the process alive only while it is wanted', () => {
  expect(execFileSync(process.execPath, [program, 'unref'], { encoding: 'utf8' })).toBe('end\n')
  expect(execFileSync(process.execPath, [program, 'ref'], { encoding: 'utf8' })).toBe('readable\nend\n')
})
