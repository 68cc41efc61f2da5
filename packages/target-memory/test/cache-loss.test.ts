import type { Path } from '@blockbraid/core'
import { IoFlag, IoOp } from '@blockbraid/core'
import { describe, expect, it } from 'vitest'
import { memory } from '../src/index.ts'
import { block, flush, read, rig, send, turn, write } from './helpers.ts'

const lose = (): number => 1
const keep = (): number => 0

function hear(path: Path, name: string, news: string[]): void {
  path.events.on('cacheLost', () => news.push(name))
}

describe('a cache that is lost', () => {
  it('takes what was written since the last flush, and only that', async () => {
    const { open, array } = rig({ log: true })
    const path = await open(0)
    await write(path, 0, block(1)).end
    await flush(path).end
    await write(path, 0, block(2)).end
    await write(path, 4096, block(3), IoFlag.Fua).end
    await write(path, 8192, block(4, 8192)).end
    await write(path, 32_768, block(5)).end
    array.loseCache(0, { random: lose })
    expect([0, 4096, 8192, 32_768].map((at) => array.peek(0, at, 1)[0])).toEqual([1, 3, 0, 0])
    expect(await read(path, 0, 4096)).toEqual(block(1))
    expect(array.cacheLosses).toMatchObject([
      {
        volume: array.volumes[0]!.id,
        volumeNumber: 0,
        lost: [
          [0, 4096],
          [8192, 8192],
          [32_768, 4096],
        ],
      },
    ])
    expect(array.cacheLosses[0]!.moment).toBeGreaterThan(array.log.at(-1)!.done)
  })

  it('may lose nothing, and is told all the same', async () => {
    const { open, array } = rig({ log: true })
    const path = await open(0)
    const news: string[] = []
    hear(path, 'lost', news)
    await write(path, 0, block(1)).end
    array.loseCache(0, { random: keep })
    expect(news).toEqual(['lost'])
    expect(array.cacheLosses[0]!.lost).toEqual([])
    expect(await read(path, 0, 4096)).toEqual(block(1))
  })

  it('leaves contents that are durable: a second loss or a crash cannot change them', async () => {
    const { open, array } = rig({ log: true })
    const path = await open(0)
    await write(path, 0, block(1)).end
    array.loseCache(0, { random: keep })
    await write(path, 4096, block(2)).end
    array.loseCache(0, { random: lose })
    expect([0, 4096].map((at) => array.peek(0, at, 1)[0])).toEqual([1, 0])
    const image = array.crashImage(0, lose)
    expect(image.checksum()).toBe(array.checksum(0))
    expect(array.lostWrites(0, image)).toEqual([])
    const older = { read: (_offset: number, length: number) => block(0, length) }
    expect(array.lostWrites(0, older).length).toBe(1)
    // A flush that comes after the loss does not bring back what it took.
    await flush(path).end
    expect(array.lostWrites(0, array.crashImage(0, lose))).toEqual([])
    expect(array.crashImage(0, lose).read(4096, 1)[0]).toBe(0)
  })

  it('of a volume without a write cache loses nothing', async () => {
    const { open, array } = rig({ log: true, volumes: [{ size: '1MiB', writeCache: false }] })
    await write(await open(0), 0, block(1)).end
    array.loseCache(0, { random: lose })
    expect(array.peek(0, 0, 1)[0]).toBe(1)
  })

  it('is told once by each living path of that volume, and by no other', async () => {
    const { open, array } = rig({ log: true, volumes: [{ size: '1MiB' }, { size: '1MiB' }] })
    const news: string[] = []
    const dead = await open(3)
    hear(dead, 'dead', news)
    array.portDown(3)
    await turn()
    for (const [port, volume] of [
      [0, 0],
      [1, 0],
      [2, 1],
    ] as const) {
      const path = await open(port, volume)
      expect(path.wasReset).toBe(false)
      hear(path, `${port} ${volume}`, news)
    }
    array.loseCache(0)
    expect(news).toEqual(['0 0', '1 0'])
    array.loseCache(0)
    expect(news).toEqual(['0 0', '1 0', '0 0', '1 0'])
  })

  it('is told late, before the next command is executed, where it is asked for', async () => {
    const { open, array } = rig({ log: true })
    const paths = [await open(0), await open(1), await open(2)]
    const news: string[] = []
    for (const [port, path] of paths.entries()) hear(path, `port ${port}`, news)
    await write(paths[0]!, 0, block(1)).end
    array.loseCache(0, { late: [0, 2], random: lose })
    expect(news).toEqual(['port 1'])
    const sent = flush(paths[0]!)
    void sent.end.then(() => news.push('flushed'))
    await sent.end
    await flush(paths[0]!).end
    expect(news).toEqual(['port 1', 'port 0', 'flushed'])
    array.run('volume 0 lose cache late')
    array.run('volume 0 lose cache late')
    expect(news.length).toBe(3)
    expect(await send(paths[2]!, IoOp.Read, 0, [block(0)]).end).toBe(0)
    expect(news.slice(3)).toEqual(['port 2'])
    array.run('volume 0 lose cache')
    expect(news.slice(4)).toEqual(['port 0', 'port 1', 'port 2'])
  })

  it('is told by a port that hangs when it goes on', async () => {
    const { open, array } = rig({ log: true })
    const path = await open(0)
    const news: string[] = []
    hear(path, 'told', news)
    array.hang(0)
    const sent = write(path, 0, block(1))
    await turn()
    array.loseCache(0)
    expect(news).toEqual([])
    array.release(0)
    expect([news, sent.status]).toEqual([['told'], 0])
    expect(array.peek(0, 0, 1)[0]).toBe(1)
  })

  it('is told at the next connect by a path whose port was cut before it had heard', async () => {
    const { open, array, target } = rig({ log: true })
    await open(0)
    await open(1)
    array.portDown(0)
    array.loseCache(0)
    array.portUp(0)
    expect([(await open(0)).wasReset, (await open(0)).wasReset, (await open(1)).wasReset]).toEqual([true, false, false])
    // Each host is told through each port.
    const other = rig({ array, initiator: 'host1' })
    expect([(await other.open(1)).wasReset, (await other.open(1)).wasReset]).toEqual([true, false])
    await target.close()
  })

  it('a listener that unmaps the volume keeps the command that told of it from being executed', async () => {
    const { open, array } = rig({ log: true })
    const path = await open(0)
    path.events.on('cacheLost', () => array.unmap(0, 'all'))
    array.loseCache(0, { late: true })
    const sent = write(path, 0, block(1))
    expect(await sent.end).not.toBe(0)
    expect(array.peek(0, 0, 1)[0]).toBe(0)
    expect(array.ports[0]!.commands).toBe(0)
  })

  it('needs the log, and right options', () => {
    expect(() => rig().array.loseCache(0)).toThrow('log is false; it must be true')
    expect(() => rig().array.powerLoss()).toThrow('log is false; it must be true')
    const { array } = rig({ log: true })
    expect(() => array.loseCache(0, { late: 1 as never })).toThrow(
      'options.late is 1; it must be true, false, or a list',
    )
    expect(() => array.loseCache(0, { late: [7] })).toThrow('port is 7')
    expect(() => array.loseCache(3)).toThrow('volume is 3')
    expect(() => array.loseCache(0, { rate: 1 } as never)).toThrow('options.rate is unknown')
  })
})

describe('a loss of power', () => {
  it('takes every port down, ends what was sent unexecuted, and loses every cache', async () => {
    const { open, array, host } = rig({
      log: true,
      volumes: [{ size: '1MiB' }, { size: '1MiB' }],
      latency: { base: 100 },
    })
    const [one, two] = [await open(0), await open(1, 1)]
    const downs: string[] = []
    one.events.on('down', ({ message }) => downs.push(message))
    two.events.on('down', ({ message }) => downs.push(message))
    await host.clock.runUntil(Promise.all([write(one, 0, block(1)).end, write(two, 0, block(2)).end]))
    array.hang(1)
    const late = [write(one, 4096, block(3), IoFlag.Fua), write(two, 4096, block(4), IoFlag.Fua)]
    await turn()
    // What a dead path has left in a port goes as well.
    const orphan = await open(2)
    const left = write(orphan, 8192, block(5), IoFlag.Fua)
    await turn()
    array.portDown(2)
    array.powerLoss(lose)
    await Promise.all([...late, left].map(({ end }) => end))
    expect(downs).toEqual(['array0 has lost power', 'array0 has lost power'])
    await expect(open(0)).rejects.toMatchObject({ code: 'CONNECT_FAILED' })
    array.run('power on')
    await host.clock.advance(10)
    expect([array.checksum(0), array.checksum(1)]).toEqual(
      new Array(2).fill(memory({ volumes: [{ size: '1MiB' }] }).array.checksum(0)),
    )
    expect(array.ports.map(({ up, hung, commands }) => [up, hung, commands])).toEqual(
      new Array(4).fill([true, false, 0]),
    )
    expect([(await open(0)).wasReset, (await open(1, 1)).wasReset, (await open(0)).wasReset]).toEqual([
      true,
      true,
      false,
    ])
    array.run('power loss')
    expect(array.cacheLosses.length).toBe(4)
  })
})
