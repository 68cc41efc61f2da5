import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { linuxSystem } from '../src/system.ts'

test('whether a process is alive: one that has ended and was not yet asked about is not', async () => {
  expect(linuxSystem.isAlive(process.pid)).toBe(true)
  expect(linuxSystem.isAlive(-1)).toBe(false)
  // A shell that becomes a program that never asks about the child it inherits.
  const parent = spawn('sh', ['-c', 'sh -c "exit 0" & echo $!; exec sleep 60'], { stdio: ['ignore', 'pipe', 'ignore'] })
  try {
    const [line] = (await once(parent.stdout, 'data')) as [Buffer]
    const child = Number(String(line))
    const state = async (): Promise<boolean> => linuxSystem.isAlive(child)
    for (let tries = 0; tries < 500 && (await state()); tries++) await new Promise((resolve) => setTimeout(resolve, 10))
    expect(await state()).toBe(false)
  } finally {
    parent.kill('SIGKILL')
  }
})

test('the size of a page, which the layout of the driver depends on', () => {
  expect([4096, 16384, 65536]).toContain(linuxSystem.pageSize)
})

test('rings are kept by a process that has them until it is told, or until this process ends', async () => {
  const fds = [openSync('/dev/null', 'r')]
  const before = new Set(children())
  const keeper = linuxSystem.keepRings(fds)
  const other = linuxSystem.keepRings(fds)
  const started = children().filter((pid) => !before.has(pid))
  expect(started).toHaveLength(2)
  keeper.release('now')
  other.release('later')
  for (let tries = 0; tries < 3000 && started.some((pid) => linuxSystem.isAlive(pid)); tries++) {
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  expect(started.filter((pid) => linuxSystem.isAlive(pid))).toEqual([])
  for (const fd of fds) closeSync(fd)
})

function children(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
        return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === process.pid
      } catch {
        return false
      }
    })
}
