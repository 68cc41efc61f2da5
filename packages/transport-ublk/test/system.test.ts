import { spawn } from 'node:child_process'
import { once } from 'node:events'
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
