import { BlockError } from '@blockbraid/core'
import { createVirtualClock } from '@blockbraid/testkit'
import { expect, test } from 'vitest'
import { ConnectPace, SharedTry } from '../src/index.ts'

const refused = new BlockError('CONNECT_FAILED', 'refused')

test('tries that fail are spaced more and more, and one that succeeds begins anew', async () => {
  const clock = createVirtualClock()
  const pace = new ConnectPace(clock, () => 1)
  const gaps: number[] = []
  for (let tries = 0; tries < 9; tries++) {
    await expect(pace.try(() => Promise.reject(refused))).rejects.toBe(refused)
    const from = clock.now()
    expect(pace.tooEarly).toBe(refused)
    while (pace.tooEarly !== undefined) await clock.advance(50)
    gaps.push((clock.now() - from) / 1000)
  }
  expect(gaps).toEqual([50, 100, 200, 400, 800, 1600, 3200, 5000, 5000])
  await pace.try(() => Promise.resolve())
  pace.failed(refused)
  await clock.advance(50)
  expect(pace.tooEarly).toBeUndefined()
})

test('what was called off tells nothing of the portal', async () => {
  const pace = new ConnectPace(createVirtualClock(), () => 1)
  pace.failed(new BlockError('ABORTED', 'called off'))
  pace.failed(new BlockError('CLOSED', 'closed'))
  expect(pace.tooEarly).toBeUndefined()
})

test('one try is shared by all who ask meanwhile, and called off when all of them have left', async () => {
  const tries = new SharedTry<number>()
  const begun: { signal: AbortSignal; resolve: (value: number) => void }[] = []
  const ask = (key: string, signal: AbortSignal): Promise<number | string> =>
    tries
      .ask(key, signal, (shared) => new Promise((resolve) => begun.push({ signal: shared, resolve })))
      .catch((error) => error.code)
  const [one, two, three] = [new AbortController(), new AbortController(), new AbortController()]
  const answers = [ask('a', one.signal), ask('a', two.signal), ask('b', three.signal)]
  expect(begun).toHaveLength(2)
  one.abort()
  expect(await answers[0]).toBe('ABORTED')
  expect(begun[0]!.signal.aborted).toBe(false)
  begun[0]!.resolve(7)
  expect(await answers[1]).toBe(7)
  three.abort()
  expect(await answers[2]).toBe('ABORTED')
  expect(begun[1]!.signal.aborted).toBe(true)
  // Who comes now begins another one.
  void ask('b', new AbortController().signal)
  expect(begun).toHaveLength(3)
})
