import { existsSync } from 'node:fs'
import { open, writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { PathSelector, PathView, Target } from '@blockbraid/core'
import { BlockError } from '@blockbraid/core'
import type { ChaosProxy } from '@blockbraid/testkit'
import { createChaosProxy, forward } from '@blockbraid/testkit'
import { expect } from 'vitest'
import { openFolder } from './support/bed.ts'
import { allAre } from './support/data.ts'
import type { IscsiBed } from './support/iscsi-bed.ts'
import { brisk, openIscsiBed, states } from './support/iscsi-bed.ts'
import { itWithSlowTgt, openSlowTgt } from './support/slow-tgt.ts'
import type { Tgt, TgtLun } from './support/tgt.ts'
import { itWithTgt, openTgt } from './support/tgt.ts'

const patient = { timeout: 20_000, interval: 5 }
const SIZE = 64 * 1024

/** A disk behind two portals: the first path leads through a proxy, and takes all I/O while it is usable. */
interface Scene extends AsyncDisposable {
  readonly disk: TgtLun
  readonly proxy: ChaosProxy
  readonly bed: IscsiBed
  /** The range that is written, as the target holds it. */
  stored(): Promise<Buffer>
}

async function openScene(tgt: Tgt, wrap: (target: Target, through: string) => Target): Promise<Scene> {
  await using stack = new AsyncDisposableStack()
  const target = await tgt.addTarget({ params: { MaxRecvDataSegmentLength: 262_144, InitialR2T: false } })
  const disk = await target.addLun()
  const [host = '', port = ''] = tgt.portals[0].split(':')
  const proxy = stack.use(await createChaosProxy({ to: { host, port: Number(port) } }))
  const bed = stack.use(
    await openIscsiBed({
      ...brisk,
      portals: [proxy.address, tgt.portals[1]],
      toldPortals: false,
      target: target.name,
      selector: () => preferring(proxy.address),
      wrap: (inner) => wrap(inner, proxy.address),
    }),
  )
  await expect.poll(() => states(bed.pair), patient).toEqual(['up', 'up'])
  const all = stack.move()
  return {
    disk,
    proxy,
    bed,
    async stored() {
      await using file = await open(disk.file)
      return (await file.read(Buffer.alloc(SIZE), 0, SIZE, 0)).buffer
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  }
}

/** Takes the path that leads to `address` while it is usable. */
function preferring(address: string): PathSelector {
  let first: PathView | undefined
  return {
    name: 'preferring',
    update(paths) {
      first = paths.find(({ id }) => id.includes(address)) ?? paths[0]
    },
    select: () => first,
  }
}

/** A target whose path through `address` says that it is fenced at once, and does nothing for it. */
function unfenced(inner: Target, address: string): Target {
  let lost = false
  return {
    name: inner.name,
    discover: (options) => inner.discover(options),
    async connect(info, options) {
      const through = info.id.includes(address)
      // A new login would be a fence after all.
      if (through && lost) throw new BlockError('CONNECT_FAILED', 'kept away by the test')
      const path = await inner.connect(info, options)
      if (!through) return path
      return forward(path, {
        close: async () => {
          lost = true
        },
      })
    },
    close: (options) => inner.close(options),
  }
}

const fenced = (inner: Target): Target => inner

/**
 * The proxy keeps a write on its way through the first path; the path is given up, and the same data is written
 * through the second one, then newer data; then the proxy delivers what it has kept.
 */
async function releaseLate({ bed, proxy }: Scene, from: number): Promise<void> {
  const { user } = bed.pair
  await user.write(0, Buffer.alloc(SIZE))
  if (from === 0) proxy.hold('up')
  else proxy.atByte(from, 'up', () => proxy.hold('up'))
  await user.write(0, Buffer.alloc(SIZE, 1))
  expect(Math.max(...proxy.connections.map(({ held }) => held.up))).toBeGreaterThan(SIZE / 4)
  expect(states(bed.pair)).toContain('up')
  await user.write(0, Buffer.alloc(SIZE, 2))
  proxy.release('up')
  // Delivered, or nobody is there to take it.
  const passed = (): boolean => proxy.connections.every(({ held, targetGone }) => targetGone || held.up === 0)
  await expect.poll(passed, patient).toBe(true)
}

/** Nothing that came before is still on its way through the target. */
async function settle({ bed, proxy }: Scene): Promise<void> {
  // The target has done with the old connection, and the path has a new one.
  const left = (): boolean => proxy.connections.some(({ clientGone, targetGone }) => clientGone && !targetGone)
  await expect.poll(left, patient).toBe(false)
  await expect.poll(() => states(bed.pair), patient).toEqual(['up', 'up'])
  await bed.pair.user.write(SIZE, Buffer.alloc(SIZE, 3))
  await bed.pair.user.flush()
}

// Before the command; behind its header; in the middle of its data.
const places = [0, 48, 48 + SIZE / 2]

itWithTgt.each(places)(
  'a write that the network delivers late, from byte %i on, does not undo a newer one',
  async (from) => {
    await using tgt = await openTgt()
    await using scene = await openScene(tgt, fenced)
    await releaseLate(scene, from)
    await settle(scene)
    expect(allAre(await scene.stored(), 2)).toBe(true)
    expect(allAre(await scene.bed.pair.user.read(0, SIZE), 2)).toBe(true)
  },
)

itWithTgt.each(places)('without the fence it does, from byte %i on: the test before can fail', async (from) => {
  await using tgt = await openTgt()
  await using scene = await openScene(tgt, unfenced)
  await releaseLate(scene, from)
  await expect.poll(async () => allAre(await scene.stored(), 1), patient).toBe(true)
})

itWithSlowTgt(
  'a write that the target itself executes late, after its connection was cut, does not undo a newer one',
  async () => {
    await using folder = await openFolder()
    await using slow = await openSlowTgt(folder.path)
    const { tgt, mark } = slow
    await using scene = await openScene(tgt, fenced)
    const { user } = scene.bed.pair
    const first = user.write(0, Buffer.alloc(SIZE, 'S'))
    await expect.poll(() => existsSync(mark('begun')), patient).toBe(true)
    scene.proxy.cut()
    // As long as the target is at it, the write must not be told done: a newer one would come before it.
    const early = await Promise.race([first.then(() => 'told'), sleep(1000).then(() => 'waits')])
    const newer = first.then(() => user.write(0, Buffer.alloc(SIZE, 2)))
    if (early === 'told') await newer
    await writeFile(mark('go'), '')
    await newer
    await expect.poll(() => existsSync(mark('done')), patient).toBe(true)
    expect(allAre(await scene.stored(), 2)).toBe(true)
  },
)
