import { expect, it } from 'vitest'
import type { BlockDevicePair, DeviceLimits, Transport } from '../src/index.ts'
import { BlockError, createEmitter, createHostAgent } from '../src/index.ts'
import { FakeTarget, LIMITS, VOLUME, virtualHost } from './support/rig.ts'

/** A pair over one path, whose attachment hears of limits, and refuses those for which `keeps` has a text. */
async function paired(keeps: (limits: DeviceLimits) => string | undefined = () => undefined) {
  const host = virtualHost(1)
  const target = new FakeTarget(1)
  target.prepare = (path) => void (path.auto = true)
  const heard: DeviceLimits[] = []
  const transport: Transport = {
    name: 'fake',
    attach: async () => ({
      node: 'fake',
      events: createEmitter<{ lost: Error }>(),
      resize: async () => {},
      follow: async (limits) => {
        await Promise.resolve()
        heard.push(limits)
        const text = keeps(limits)
        if (text !== undefined) throw new BlockError('NOT_SUPPORTED', text)
      },
      detach: async () => {},
    }),
    close: async () => {},
  }
  const agent = createHostAgent({ targets: [target], host })
  const pair: BlockDevicePair = await host.clock.runUntil(agent.pair({ name: 'v', device: VOLUME, transport }))
  await host.clock.advance(0)
  const tell = async (changes: Partial<DeviceLimits>): Promise<void> => {
    const path = target.path(0)
    path.limits = { ...path.limits, ...changes }
    path.events.emit('limits', path.limits)
    await host.clock.advance(10)
  }
  return { pair, heard, tell, host }
}

it('a pair tells its attachment what the device can do, now and whenever that changes, and the last one last', async () => {
  const { pair, heard, tell } = await paired()
  expect(heard.splice(0)).toEqual([pair.user.limits])
  const events: [boolean, boolean][] = []
  pair.events.on('limits', ({ before, limits }) => events.push([before.readOnly, limits.readOnly]))
  void tell({ readOnly: true })
  await tell({ readOnly: false, writeCache: false })
  expect(heard.at(-1)).toBe(pair.user.limits)
  expect(events.slice(0, 2)).toEqual([
    [false, true],
    [true, false],
  ])
  await tell({ size: 2 * LIMITS.size })
  expect(events.filter(([before, now]) => before !== now).length).toBe(2)
})

it('a pair says once what its attachment cannot follow, and for how long that is so', async () => {
  const { pair, tell } = await paired(({ readOnly }) => (readOnly ? 'fake stays writable' : undefined))
  const failures: string[] = []
  pair.events.on('limitsFailed', ({ message }) => failures.push(message))
  expect(pair.behind).toBe('')
  await tell({ readOnly: true })
  await tell({ trim: false })
  expect([pair.behind, failures]).toEqual(['fake stays writable', ['fake stays writable']])
  await tell({ readOnly: false })
  expect([pair.behind, failures.length]).toEqual(['', 1])
})
