import { systemClock } from '@blockbraid/core'
import { expect, it, vi } from 'vitest'
import { InputPool, InputWindow, OutboxPool, openWire } from '../src/index.ts'

vi.mock('node:dns/promises', () => ({ lookup: () => new Promise(() => {}) }))

const inputs = new InputPool(1, 64 * 1024)
const shared = { clock: systemClock, inputs, window: new InputWindow(inputs), outputs: new OutboxPool(1) }

it('a connect whose name nobody looks up ends when its signal fires', async () => {
  const given = new AbortController()
  const opening = openWire({ host: 'array.example', port: 3260 }, shared, { signal: given.signal })
  const reason = new Error('given up')
  setTimeout(() => given.abort(reason), 5)
  await expect(opening).rejects.toBe(reason)
})
