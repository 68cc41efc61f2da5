import type { Path } from '@blockbraid/core'
import { IoOp } from '@blockbraid/core'
import { describe, expect, it } from 'vitest'
import type { MemoryOptions } from '../src/index.ts'
import type { Rig, Sent } from './helpers.ts'
import { block, flush, rig, send, turn, write } from './helpers.ts'

interface Scene extends Rig {
  readonly path: Path
  /** Sends one more write, through the same path. */
  more(): void
}

// What a `done` or a listener may do. Each must leave the array in order.
const acts: Readonly<Record<string, (scene: Scene) => void>> = {
  'closes the path': ({ path }) => void path.close(),
  'closes the path twice and submits': ({ path, more }) => {
    void path.close()
    more()
    void path.close()
  },
  'closes the target': ({ target }) => void target.close(),
  'submits again': ({ more }) => more(),
  'takes the port down': ({ array }) => array.portDown(0),
  'takes the port down and submits': ({ array, more }) => {
    array.portDown(0)
    more()
  },
  'takes the port down and closes the path': ({ array, path }) => {
    array.portDown(0)
    void path.close()
  },
  'lets the port hang, and go on': ({ array }) => {
    array.hang(0)
    array.release(0)
  },
  'unmaps the volume': ({ array }) => array.unmap(0, 'all'),
  'gives the LUN to another volume': ({ array }) => {
    if (array.ports[0]!.luns.some(({ lun }) => lun === 0)) array.reuseLun(0, 0, 1)
  },
  'changes the access': ({ array }) => {
    array.setAccess('all', 'all', 'standby')
    array.setAccess('all', 'all', 'optimized')
  },
  'grows the volume': ({ array }) => array.grow(0, array.volumes[0]!.size + 4096),
  'lets commands fail, and heals': ({ array }) => {
    array.fail({ status: 5 })
    array.heal()
  },
  'kills its own process': ({ target }) => target.kill(),
  'takes the port down and kills its own process': ({ array, target }) => {
    array.portDown(0)
    target.kill()
  },
  'loses the cache': ({ array }) => {
    if (array.log.length > 0) array.loseCache(0)
  },
  'loses the power': ({ array }) => {
    if (array.log.length > 0) array.powerLoss()
  },
  'fences its own connection': ({ target, path }) => void target.fence!(path.fenceToken!).catch(() => {}),
  'shrinks and grows the volume': ({ array }) => {
    const { size } = array.volumes[0]!
    array.change(0, { size: 64 * 1024, writeCache: false })
    array.change(0, { size: size + 4096, writeCache: true })
  },
  'unmaps the volume and closes the path': ({ array, path }) => {
    array.unmap(0, 'all')
    void path.close()
  },
}

const worlds: Readonly<Record<string, MemoryOptions>> = {
  'without latency': {},
  'with the log': { log: true },
  'with latency': { latency: { base: 100 } },
  'with a shallow queue': { latency: { base: 100, jitter: 100 }, queueDepth: 1 },
  'with a slow fence': { log: true, fenceDelay: 1000 },
}

const volumes = [{ size: '1MiB' as const }, { size: '1MiB' as const }]

/** What happens to the path while Ios are queued, in flight and held. */
const fates: Readonly<Record<string, (scene: Scene) => void>> = {
  'all goes well': () => {},
  'its port went down': ({ array }) => array.portDown(0),
  'its volume was unmapped': ({ array }) => array.unmap(0, 'all'),
  'it was closed': ({ path }) => void path.close(),
  'its port hung and went on': ({ array, host }) => {
    array.hang(0)
    host.clock.after(1, () => array.release(0))
  },
}

async function open(options: MemoryOptions): Promise<Scene & { sent: Sent[] }> {
  const made = rig({ volumes, ...options })
  const path = await made.open(0)
  const sent: Sent[] = []
  const more = (): void => {
    // One that never stopped would be the owner's fault.
    if (sent.length < 40) sent.push(write(path, 4096, block(3)))
  }
  return { ...made, path, sent, more }
}

/** Everything has ended once, `close` settles, and the port serves new paths. After a kill the next process makes it so. */
async function inOrder(scene: Scene & { sent: Sent[] }, killed: boolean, second = scene.path): Promise<void> {
  const { array, host, path, sent } = scene
  await host.clock.advance(50)
  const next = rig({ array })
  if (killed) {
    const undone = sent.filter(({ status }) => status === undefined).length
    for (const { fenceToken } of [path, second]) await host.clock.runUntil(next.target.fence!(fenceToken!))
    expect(sent.filter(({ status }) => status === undefined).length).toBe(undone)
  } else {
    expect(sent.filter(({ status }) => status === undefined)).toEqual([])
    await host.clock.runUntil(Promise.all([path.close(), second.close()]))
  }
  await host.clock.advance(50)
  expect(array.ports.map(({ commands, paths }) => [commands, paths])).toEqual(array.ports.map(() => [0, 0]))
  array.portUp(0)
  await host.clock.advance(1)
  const volume =
    array.ports[0]!.luns.length > 0 ? array.volumes.findIndex(({ id }) => id === array.ports[0]!.luns[0]!.volume) : -1
  if (volume < 0) return
  const end = write(await next.open(0, volume), 0, block(9)).end
  expect(await host.clock.runUntil(end)).toBe(0)
}

/** Runs `act` in the `done` of one Io, and before it in the order of their submits sends others. */
async function inDone(
  options: MemoryOptions,
  fate: string,
  act: string,
  which: number,
  throws = false,
): Promise<unknown[]> {
  const scene = await open(options)
  const { path, sent, host } = scene
  const batch = (from: number): void => {
    sent.push(write(path, 0, block(1)), send(path, IoOp.Read, 0, [block(0)]), flush(path), write(path, 8192, block(2)))
    for (const { io } of sent.slice(from)) {
      const { done } = io
      const number = sent.findIndex((each) => each.io === io)
      io.done = (same, status) => {
        done(same, status)
        if (number !== which) return
        acts[act]!(scene)
        if (throws) throw new Error('by the owner')
      }
    }
  }
  const thrown: unknown[] = []
  const onError = (error: unknown): void => void thrown.push(error)
  const before = process.listeners('uncaughtException')
  process.removeAllListeners('uncaughtException')
  process.on('uncaughtException', onError)
  try {
    batch(0)
    await turn()
    batch(4)
    fates[fate]!(scene)
    // Sent after the path has ended, in the same turn.
    batch(8)
    for (let n = 0; n < 3; n++) await host.clock.advance(2).catch(onError)
    await inOrder(scene, act.includes('kills'))
  } finally {
    process.removeListener('uncaughtException', onError)
    for (const listener of before) process.on('uncaughtException', listener)
  }
  return thrown
}

describe.each(Object.keys(worlds))('a done %s', (world) => {
  it.each(Object.keys(acts))('%s: the array stays in order', async (act) => {
    for (const fate of Object.keys(fates)) {
      for (let which = 0; which < 12; which++) {
        const failed = await inDone(worlds[world]!, fate, act, which).catch((error: unknown) => [error])
        expect(failed, `${fate}, in the done of Io ${which}`).toEqual([])
      }
    }
  })

  it.each(Object.keys(acts))('%s and throws: only that comes out, and the rest ends', async (act) => {
    for (const fate of Object.keys(fates)) {
      for (let which = 0; which < 12; which++) {
        const thrown = await inDone(worlds[world]!, fate, act, which, true).catch((error: unknown) => ['failed', error])
        expect(thrown, `${fate}, in the done of Io ${which}`).toEqual([new Error('by the owner')])
      }
    }
  })
})

const events = ['access', 'limits', 'down'] as const

describe.each(Object.keys(worlds))('a listener %s', (world) => {
  it.each(Object.keys(acts))('%s: every path hears, and the array stays in order', async (act) => {
    for (const event of events) {
      for (const throws of [false, true]) {
        const scene = await open(worlds[world]!)
        const { array, host, path, sent } = scene
        const second = await scene.open(0)
        let own = 0
        let others = 0
        let ended = false
        path.events.on(event, () => {
          // A listener that grows the volume in the event of growth would never end.
          if (own++ > 0) return
          acts[act]!(scene)
          // What has ended hears nothing more.
          ended = /port down|unmaps|LUN|closes the target|kills|power/.test(act)
          if (throws) throw new Error('by the owner')
        })
        second.events.on(event, () => {
          others++
        })
        const thrown: unknown[] = []
        const onError = (error: unknown): void => void thrown.push(error)
        const before = process.listeners('uncaughtException')
        process.removeAllListeners('uncaughtException')
        process.on('uncaughtException', onError)
        try {
          sent.push(write(path, 0, block(1)), flush(path))
          await turn()
          sent.push(write(path, 0, block(1)), write(second, 0, block(1)))
          const cause = {
            access: 'volume 0 access all non-optimized',
            limits: 'volume 0 grow 2MiB',
            down: 'port 0 down',
          }
          try {
            array.run(cause[event])
          } catch (error) {
            thrown.push(error)
          }
          for (let n = 0; n < 3; n++) await host.clock.advance(2).catch(onError)
          expect([own, others > 0 || ended], event).toEqual([own > 0 ? own : 1, true])
          expect(thrown, event).toEqual(throws ? [new Error('by the owner')] : [])
          await inOrder(scene, act.includes('kills'), second)
        } finally {
          process.removeListener('uncaughtException', onError)
          for (const listener of before) process.on('uncaughtException', listener)
        }
      }
    }
  })
})
