import { systemClock } from '@blockbraid/core'
import { createVirtualClock } from '@blockbraid/testkit'
import { expect, it, vi } from 'vitest'
import type { EventLoop } from '../src/event-loop.ts'
import { eventLoop, ImmediateLoop } from '../src/event-loop.ts'
import { Wakeful } from '../src/index.ts'

const WINDOW = 50

/** A wakeful in virtual time, and what it asked of the loop. */
function bed() {
  const clock = createVirtualClock()
  const asked: number[] = []
  const loop: EventLoop = { stayAwake: (microseconds) => void asked.push(microseconds) }
  const wakeful = new Wakeful(clock, WINDOW, loop)
  /** One lone thing, answered after some microseconds; tells what was asked meanwhile. */
  const ask = async (microseconds: number): Promise<number[]> => {
    wakeful.waiting()
    await clock.advance(microseconds / 1000)
    wakeful.heard()
    return asked.splice(0)
  }
  return { clock, wakeful, ask, asked }
}

it('sleeps for the first answer, and is awake for the next ones until they come', async () => {
  const { ask } = bed()
  expect(await ask(20)).toEqual([])
  expect(await ask(20)).toEqual([WINDOW, 0])
  expect(await ask(20)).toEqual([WINDOW, 0])
})

it('sleeps while answers take longer than the window, and is awake again behind one that did not', async () => {
  const { ask } = bed()
  expect(await ask(60)).toEqual([])
  expect(await ask(60)).toEqual([])
  expect(await ask(20)).toEqual([])
  expect(await ask(20)).toEqual([WINDOW, 0])
})

it('takes bytes that nobody waited for as no answer', async () => {
  const { ask, wakeful, asked, clock } = bed()
  await ask(20)
  await ask(20)
  await clock.advance(10)
  wakeful.heard()
  expect(asked).toEqual([])
  expect(await ask(20)).toEqual([WINDOW, 0])
})

it('keeps the loop of this thread awake by the clock of the system, and by no other', async () => {
  const stayAwake = vi.spyOn(eventLoop, 'stayAwake')
  const clock = createVirtualClock()
  const still = new Wakeful(clock, 10_000)
  for (let i = 0; i < 3; i++) {
    still.waiting()
    still.heard()
  }
  expect(stayAwake).not.toHaveBeenCalled()
  const real = new Wakeful(systemClock, 10_000)
  for (let i = 0; i < 3; i++) {
    real.waiting()
    real.heard()
  }
  expect(stayAwake).toHaveBeenCalledWith(10_000)
  expect(stayAwake).toHaveBeenLastCalledWith(0)
  stayAwake.mockRestore()
})

it('without the addon immediates keep the loop awake until the time is up, one at a time, or it is ended', async () => {
  const set = vi.spyOn(globalThis, 'setImmediate')
  const now = vi.spyOn(performance, 'now')
  const turn = (): Promise<void> => new Promise((resolve) => setTimeout(resolve, 1))
  now.mockReturnValue(100)
  const loop = new ImmediateLoop()
  loop.stayAwake(0)
  expect(set).toHaveBeenCalledTimes(0)
  loop.stayAwake(5000)
  loop.stayAwake(5000)
  expect(set).toHaveBeenCalledTimes(1)
  await expect.poll(() => set.mock.calls.length).toBeGreaterThan(3)
  now.mockReturnValue(105)
  await turn()
  await turn()
  const looks = set.mock.calls.length
  await turn()
  expect(set).toHaveBeenCalledTimes(looks)
  loop.stayAwake(5000)
  await turn()
  loop.stayAwake(0)
  await turn()
  const ended = set.mock.calls.length
  await turn()
  expect(set).toHaveBeenCalledTimes(ended)
  set.mockRestore()
  now.mockRestore()
})
