import { IoFlag, IoOp } from '@blockbraid/core'
import { createRandom, simulate } from '@blockbraid/testkit'
import { describe, expect, it } from 'vitest'
import { memory } from '../src/index.ts'
import { block, flush, rig, send, turn, write } from './helpers.ts'

const lose = (): number => 1
const keep = (): number => 0

describe('log', () => {
  it('lists what was executed, in order, and when it was sent and answered', async () => {
    const { open, array } = rig({ log: true })
    const [one, two] = [await open(0), await open(2)]
    const data = block(1)
    await write(one, 4096, data, IoFlag.Fua).end
    data.fill(9)
    await flush(two).end
    await send(two, IoOp.Trim, 0, 8192).end
    await send(one, IoOp.Read, 0, 4096).end
    await send(one, IoOp.WriteZeroes, 8192, 4096).end
    const volume = array.volumes[0]!.id
    expect(array.log).toMatchObject([
      { op: IoOp.Write, fua: true, volume, port: 0, connection: 1, offset: 4096, length: 4096, data: block(1) },
      { op: IoOp.Flush, fua: false, volume, port: 2, connection: 2, data: undefined },
      { op: IoOp.Trim, port: 2, offset: 0, length: 8192, data: undefined },
      { op: IoOp.WriteZeroes, port: 0, offset: 8192, length: 4096, data: undefined },
    ])
    const moments = array.log.flatMap(({ submitted, executed, done }) => [submitted, executed, done])
    expect(moments).toEqual(moments.toSorted((a, b) => a - b))
    expect(new Set(moments).size).toBe(moments.length)
  })

  it('shows a write that was executed after its path had failed', async () => {
    const { open, array } = rig({ log: true })
    const path = await open(0)
    array.hang(0)
    const sent = write(path, 0, block(1))
    await turn()
    array.portDown(0)
    await sent.end
    expect(array.log).toEqual([])
    array.release(0)
    expect(array.log).toMatchObject([{ op: IoOp.Write, port: 0, done: Number.POSITIVE_INFINITY }])
  })

  it('is empty when it is off, and crash images need it', async () => {
    const { open, array } = rig()
    await write(await open(0), 0, block(1)).end
    expect(array.log).toEqual([])
    expect(() => array.crashImage(0)).toThrow('log is false; it must be true')
    expect(() => array.lostWrites(0, array.crashImage(0))).toThrow(TypeError)
  })
})

describe('crash image', () => {
  it('has FUA writes and what was done before a flush was sent, and maybe the rest', async () => {
    const { open, array } = rig({ log: true })
    const path = await open(0)
    await write(path, 0, block(1)).end
    const early = write(path, 4096, block(2))
    const flushed = flush(path)
    await Promise.all([early.end, flushed.end])
    await write(path, 8192, block(3), IoFlag.Fua).end
    await write(path, 12_288, block(4)).end
    const firsts = (random: () => number): (number | undefined)[] => {
      const image = array.crashImage(0, random)
      expect(array.lostWrites(0, image)).toEqual([])
      return [0, 4096, 8192, 12_288].map((at) => image.read(at, 4096)[17])
    }
    // The second was in flight when the flush was sent, so that the flush says nothing about it.
    expect(firsts(lose)).toEqual([1, 0, 3, 0])
    expect(firsts(keep)).toEqual([1, 2, 3, 4])
    expect(array.crashImage(0, keep).checksum()).toBe(array.checksum(0))
  })

  it('owes nothing to a flush that was never answered', async () => {
    const { open, array, host } = rig({ log: true, latency: { base: 100 } })
    const path = await open(0)
    await host.clock.runUntil(write(path, 0, block(1)).end)
    const cut = flush(path)
    await turn()
    array.portDown(0)
    await cut.end
    await host.clock.advance(1)
    expect(array.log.map(({ op }) => op)).toEqual([IoOp.Write, IoOp.Flush])
    expect(array.crashImage(0, lose).read(0, 1)[0]).toBe(0)
  })

  it('loses single blocks of a write', async () => {
    const { open, array } = rig({ log: true })
    await write(await open(0), 0, block(1, 64 * 4096)).end
    const image = array.crashImage(0, createRandom(1))
    const kept = Array.from({ length: 64 }, (_, n) => image.read(n * 4096, 4096)[0]!)
    expect(new Set(kept)).toEqual(new Set([0, 1]))
    expect(array.lostWrites(0, image)).toEqual([])
  })

  it('may keep or lose each block of a trim or of zeroes', async () => {
    for (const op of [IoOp.Trim, IoOp.WriteZeroes]) {
      const { open, array } = rig({ log: true, volumes: [{ size: '1TiB' }] })
      const path = await open(0)
      await write(path, 0, block(1, 32 * 4096), IoFlag.Fua).end
      await send(path, op, 0, 2 ** 40).end
      const image = array.crashImage(0, createRandom(2))
      expect(new Set(image.read(0, 32 * 4096))).toEqual(new Set([0, 1]))
      expect(array.lostWrites(0, image)).toEqual([])
      await flush(path).end
      expect(new Set(array.crashImage(0, lose).read(0, 32 * 4096))).toEqual(new Set([0]))
      const wrong = array.lostWrites(0, { read: (_offset, length) => block(1, length) })
      expect(wrong.length).toBe(op === IoOp.Trim ? 0 : 32)
    }
  })

  it('of a volume without a write cache has everything', async () => {
    const { open, array } = rig({ log: true, volumes: [{ size: '1MiB', writeCache: false }] })
    const path = await open(0)
    expect(path.limits.writeCache).toBe(false)
    await write(path, 0, block(1)).end
    expect(array.crashImage(0, lose).read(0, 4096)).toEqual(block(1))
  })

  it('of a volume whose cache was switched lacks only what was written while it was on', async () => {
    const { open, array } = rig({ log: true, volumes: [{ size: '1MiB', writeCache: false }] })
    const path = await open(0)
    const told: boolean[] = []
    path.events.on('limits', ({ writeCache }) => void told.push(writeCache))
    await write(path, 0, block(1)).end
    array.run('volume 0 cache on')
    await write(path, 4096, block(2)).end
    array.setWriteCache(0, false)
    await write(path, 8192, block(3)).end
    expect(told).toEqual([true, false])
    const kept = (): (number | undefined)[] => [0, 4096, 8192].map((at) => array.crashImage(0, lose).read(at, 4096)[0])
    expect(kept()).toEqual([1, 0, 3])
    await flush(path).end
    expect(kept()).toEqual([1, 2, 3])
  })

  it('is caught when it lacks a durable write, holds an older one, or foreign bytes', async () => {
    const { open, array } = rig({ log: true })
    const path = await open(0)
    await write(path, 0, block(1), IoFlag.Fua).end
    await write(path, 0, block(2), IoFlag.Fua).end
    await write(path, 0, block(3)).end
    const lost = (fill: number): string[] => array.lostWrites(0, { read: (_offset, length) => block(fill, length) })
    expect([0, 1, 9].map((fill) => lost(fill).length)).toEqual([1, 1, 1])
    expect([2, 3].map((fill) => lost(fill).length)).toEqual([0, 0])
    expect(lost(0)[0]).toMatch(/^naa\.6\w+: 4096 bytes at 0 are neither/)
  })

  it('keeps every acknowledged promise over random loads, with ports that die', async () => {
    await simulate(60, async (host) => {
      const pick = (n: number): number => Math.floor(host.random() * n)
      const target = memory({ log: true, volumes: [{ size: '256KiB' }], latency: { jitter: 300 } }, host)
      const infos = await target.discover()
      const durable = new Map<number, number>()
      const lane = async (number: number): Promise<void> => {
        const path = await target.connect(infos[number]!)
        const at = number * 4096
        for (let value = 1; value < 20; value++) {
          const fua = pick(3) === 0
          const acknowledged = await write(path, at, block(value), fua ? IoFlag.Fua : 0).end
          if (acknowledged === 0 && fua) durable.set(at, value)
          if (acknowledged === 0 && pick(4) === 0 && (await flush(path).end) === 0) durable.set(at, value)
        }
      }
      const kill = new Promise<void>((resolve) => {
        host.clock.after(host.random() * 6, () => {
          target.array.portDown(pick(4))
          resolve()
        })
      })
      await Promise.all([kill, ...[0, 1, 2, 3].map(lane)])
      const image = target.array.crashImage(0)
      const lost = target.array.lostWrites(0, image)
      if (lost.length > 0) throw new Error(lost[0])
      for (const [at, value] of durable) {
        const found = image.read(at, 1)[0]!
        if (found < value) throw new Error(`block at ${at} holds ${found}, ${value} was durable`)
      }
    })
  })
})
