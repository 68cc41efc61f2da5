import type { Path, PathTrouble } from '@blockbraid/core'
import { type BlockError, Errno, errnoOf, IoOp, NOT_EXECUTED, PATH_ERROR } from '@blockbraid/core'
import { describe, expect, it } from 'vitest'
import { block, flush, read, rig, send, turn, write } from './helpers.ts'

const CUT = Errno.EIO | PATH_ERROR

function watch(path: Path): { events: string[]; reason?: BlockError } {
  const seen: { events: string[]; reason?: BlockError } = { events: [] }
  path.events.on('down', (reason) => {
    seen.events.push('down')
    seen.reason = reason as BlockError
  })
  return seen
}

describe('port down', () => {
  it('ends what is in flight, then says down once, and refuses what comes later', async () => {
    const { open, array, host } = rig({ latency: { base: 100 } })
    const path = await open(1)
    const other = await open(2)
    const seen = watch(path)
    const sent = [write(path, 0, block(1)), send(path, IoOp.Read, 0, [block(0)])]
    await turn()
    const fresh = write(path, 4096, block(2))
    for (const each of [...sent, fresh]) void each.end.then(() => seen.events.push('done'))
    array.portDown(1)
    expect(seen.events).toEqual([])
    const late = write(path, 8192, block(3))
    await late.end
    await turn()
    expect([...sent, fresh].map(({ status }) => status)).toEqual([CUT, CUT, CUT])
    expect(late.status).toBe(CUT | NOT_EXECUTED)
    expect(seen.events.toSorted()).toEqual(['done', 'done', 'done', 'down'])
    expect(seen.reason?.code).toBe('CONNECT_FAILED')
    expect(await write(path, 0, block(4)).end).toBe(CUT | NOT_EXECUTED)
    array.portDown(1)
    await turn()
    expect(seen.events.filter((event) => event === 'down').length).toBe(1)
    await path.close()
    expect(errnoOf(await write(path, 0, block(4)).end)).toBe(Errno.ESHUTDOWN)
    const alive = write(other, 0, block(5))
    await host.clock.runUntil(alive.end)
    expect(alive.status).toBe(0)
  })

  it('still says done before down when an Io is submitted from done', async () => {
    const { open, array } = rig()
    const path = await open(0)
    const order: string[] = []
    path.events.on('down', () => order.push('down'))
    const chain = (left: number): void => {
      const { io } = send(path, IoOp.Read, 0, 4096)
      io.done = () => {
        order.push(`done ${left}`)
        if (left > 0) chain(left - 1)
      }
    }
    chain(3)
    array.portDown(0)
    await turn()
    expect(order).toEqual(['done 3', 'done 2', 'done 1', 'done 0', 'down'])
  })

  it('sends nothing that is submitted after it, though in the same batch', async () => {
    const { open, array } = rig()
    const path = await open(0)
    const first = write(path, 0, block(1))
    const last = write(path, 4096, block(2))
    const late = new Promise<number>((resolve) => {
      first.io.done = () => {
        array.portDown(0)
        resolve(write(path, 8192, block(3)).end)
      }
    })
    expect(await last.end).toBe(CUT)
    expect(await late).toBe(CUT | NOT_EXECUTED)
    expect(array.peek(0, 8192, 1)[0]).toBe(0)
  })

  it('executes what was sent, late, with the data of its time', async () => {
    const { open, array, host } = rig({ latency: { base: 1000 } })
    const path = await open(0)
    const data = block(1)
    const sent = write(path, 0, data)
    await turn()
    array.portDown(0)
    expect(await sent.end).toBe(CUT)
    data.fill(9)
    expect(array.peek(0, 0, 4096)).toEqual(block(0))
    await host.clock.advance(2)
    expect(array.peek(0, 0, 4096)).toEqual(block(1))
  })

  it('executes what was just submitted without latency, though nobody hears of it', async () => {
    const { open, array } = rig()
    const sent = write(await open(0), 0, block(1))
    array.portDown(0)
    expect(await sent.end).toBe(CUT)
    expect(array.peek(0, 0, 4096)).toEqual(block(1))
  })

  it('takes the ports of a failed controller, and gives them back', async () => {
    const { open, array, target } = rig()
    const seen = [watch(await open(0)), watch(await open(1)), watch(await open(2))]
    array.controllerDown(0)
    await turn()
    expect(seen.map(({ events }) => events.length)).toEqual([1, 0, 1])
    // The other controller tells of all four: a path that is down is not a path that is gone.
    expect((await target.discover()).length).toBe(4)
    array.controllerDown(1)
    await expect(target.discover()).rejects.toMatchObject({ code: 'CONNECT_FAILED' })
    array.controllerUp(0)
    expect((await target.discover()).length).toBe(4)
    expect(await write(await open(0), 0, block(1)).end).toBe(0)
  })
})

describe('hang', () => {
  it('holds what is sent; release executes and answers it in order', async () => {
    const { open, array, host } = rig()
    const path = await open(0)
    array.hang(0)
    const sent = [write(path, 0, block(1)), write(path, 0, block(2)), flush(path)]
    await host.clock.advance(10_000)
    expect(sent.map(({ status }) => status)).toEqual([undefined, undefined, undefined])
    expect(array.peek(0, 0, 4096)).toEqual(block(0))
    expect(array.ports[0]).toMatchObject({ hung: true, commands: 3 })
    array.release(0)
    await turn()
    expect(sent.map(({ status }) => status)).toEqual([0, 0, 0])
    expect(array.peek(0, 0, 4096)).toEqual(block(2))
    expect(array.ports[0]).toMatchObject({ hung: false, commands: 0 })
  })

  it('lets a held write land after a later one through another port, unless the path was fenced', async () => {
    for (const fenced of [false, true]) {
      const { open, array } = rig()
      const [old, other] = [await open(0), await open(1)]
      array.hang(0)
      const stuck = write(old, 0, block(1))
      await turn()
      array.portDown(0)
      expect(await stuck.end).toBe(CUT)
      if (fenced) await old.close()
      expect(await write(other, 0, block(2)).end).toBe(0)
      array.release(0)
      await turn()
      expect(array.peek(0, 0, 4096), `fenced: ${fenced}`).toEqual(block(fenced ? 2 : 1))
    }
  })

  it('keeps more than the queue depth, and executes that after release too', async () => {
    const { open, array } = rig({ queueDepth: 2 })
    const path = await open(0)
    array.hang(0)
    const sent = Array.from({ length: 10 }, (_, n) => write(path, n * 4096, block(n + 1)))
    await turn()
    expect(array.ports[0]!.commands).toBe(10)
    array.release(0)
    await Promise.all(sent.map(({ end }) => end))
    for (let n = 0; n < 10; n++) expect(array.peek(0, n * 4096, 1)[0]).toBe(n + 1)
  })
})

describe('close', () => {
  it('ends what is in flight at once, and settles when the array has ended it too', async () => {
    const { open, array, host } = rig({ latency: { base: 5000 }, fenceDelay: 2000 })
    const path = await open(0)
    const seen = watch(path)
    const sent = write(path, 0, block(1))
    await turn()
    let settled = false
    const end = path.close().then(() => {
      settled = true
    })
    expect(sent.status).toBeUndefined()
    await turn()
    expect(sent.status).toBe(CUT)
    expect(settled).toBe(false)
    expect(array.ports[0]!.commands).toBe(1)
    await host.clock.advance(1.9)
    expect(settled).toBe(false)
    await host.clock.advance(0.2)
    expect(settled).toBe(true)
    await end
    await host.clock.advance(100)
    expect(array.ports[0]).toMatchObject({ commands: 0, paths: 0 })
    expect(array.peek(0, 0, 4096)).toEqual(block(0))
    expect(seen.events).toEqual([])
    array.portDown(0)
    await turn()
    expect(seen.events).toEqual([])
  })

  it('may be overtaken by a command that is due before the fence', async () => {
    const { open, array, host } = rig({ latency: { base: 1000 }, fenceDelay: 2000 })
    const path = await open(0)
    const sent = write(path, 0, block(1))
    await turn()
    await host.clock.runUntil(path.close())
    expect(sent.status).toBe(CUT)
    expect(array.peek(0, 0, 4096)).toEqual(block(1))
  })

  it('does not settle while fences are stuck, and a signal ends only the waiting', async () => {
    const { open, array } = rig()
    const path = await open(0)
    array.hang(0)
    const sent = write(path, 0, block(1))
    await turn()
    array.stickFences()
    let settled = false
    const end = path.close().then(() => {
      settled = true
    })
    expect(await sent.end).toBe(CUT)
    await turn()
    expect(settled).toBe(false)
    const stop = new AbortController()
    const waiting = path.close({ signal: stop.signal })
    stop.abort()
    await expect(waiting).rejects.toMatchObject({ code: 'ABORTED' })
    expect(array.ports[0]!.commands).toBe(1)
    array.freeFences()
    await end
    array.release(0)
    expect(array.peek(0, 0, 4096)).toEqual(block(0))
  })

  it('fences its own path only', async () => {
    const { open, array } = rig()
    const [one, two] = [await open(0), await open(0)]
    array.hang(0)
    const sent = [write(one, 0, block(1)), write(two, 4096, block(2)), write(one, 8192, block(3))]
    await turn()
    await one.close()
    array.release(0)
    await turn()
    expect(sent.map(({ status }) => status)).toEqual([CUT, 0, CUT])
    expect([0, 4096, 8192].map((at) => array.peek(0, at, 1)[0])).toEqual([0, 2, 0])
  })

  it('from inside done drops the rest of the batch', async () => {
    const { open, array } = rig()
    const path = await open(0)
    const first = write(path, 0, block(1))
    let end: Promise<void> | undefined
    first.io.done = () => {
      end = path.close()
    }
    const second = write(path, 4096, block(2))
    expect(await second.end).toBe(CUT)
    await end
    expect([array.peek(0, 0, 1)[0], array.peek(0, 4096, 1)[0]]).toEqual([1, 0])
  })
})

describe('faults by rule', () => {
  it('fails a share of the commands, the same for the same seed', async () => {
    const run = async (seed: number): Promise<number> => {
      const { open, array } = rig({}, seed)
      const path = await open(0)
      array.fail({ port: 0, rate: 0.3, status: CUT })
      const sent = Array.from({ length: 1000 }, () => write(path, 0, block(1)))
      const ends = await Promise.all(sent.map(({ end }) => end))
      expect(ends.every((status) => status === 0 || status === CUT)).toBe(true)
      return ends.filter((status) => status !== 0).length
    }
    expect(await run(5)).toBe(await run(5))
    expect(await run(5)).toBeGreaterThan(230)
    expect(await run(5)).toBeLessThan(370)
  })

  it('fails reads of a range like a bad medium, on every port, until healed', async () => {
    const { open, array } = rig()
    const paths = [await open(0), await open(3)]
    const remove = array.fail({ volume: 0, ops: [IoOp.Read], offset: 8192, length: 4096, status: Errno.ENODATA })
    for (const path of paths) {
      expect(await send(path, IoOp.Read, 4096, 4096).end).toBe(0)
      expect(await send(path, IoOp.Read, 12_288, 4096).end).toBe(0)
      expect(await send(path, IoOp.Read, 0, 65_536).end).toBe(Errno.ENODATA)
      expect(await write(path, 8192, block(1)).end).toBe(0)
      expect(await flush(path).end).toBe(0)
    }
    remove()
    expect(await read(paths[0]!, 8192, 4096)).toEqual(block(1))
    array.fail({ offset: 0, length: 1, status: Errno.EIO })
    expect(await flush(paths[0]!).end).toBe(0)
    expect(await write(paths[0]!, 0, block(2)).end).toBe(Errno.EIO)
    expect(array.peek(0, 0, 1)[0]).toBe(0)
    array.heal()
    expect(await write(paths[0]!, 0, block(2)).end).toBe(0)
  })

  it.each([
    [{ status: 0 }, 'rule.status is 0'],
    [{ status: 5, rate: 0 }, 'rule.rate is 0; it must be above 0, at most 1'],
    [{ status: 5, port: 4 }, 'port is 4; it must be a whole number from 0 to 3'],
    [{ status: 5, volume: 'naa.0' as const }, 'volume is "naa.0"; it must be the identity'],
    [{ status: 5, ops: [9 as 0] }, 'rule.ops is 9; it must be a list of IoOp'],
    [{ status: 5, offset: -1 }, 'rule.offset is -1'],
    [{ status: 5, lenght: 1 }, 'rule.lenght is unknown'],
  ])('refuses %j', (rule, message) => {
    expect(() => rig().array.fail(rule)).toThrow(message)
  })
})

it('goes on after a done that throws', async () => {
  for (const latency of [0, 50]) {
    const { open, host, array } = rig({ latency: { base: latency } })
    const path = await open(0)
    // The rule leads through the port instead of the short way.
    for (const slow of [false, true]) {
      if (slow) array.fail({ port: 1, status: 5 })
      const thrown: unknown[] = []
      const onError = (error: unknown): void => void thrown.push(error)
      const before = process.listeners('uncaughtException')
      process.removeAllListeners('uncaughtException')
      process.on('uncaughtException', onError)
      try {
        const bad = write(path, 0, block(1))
        bad.io.done = () => {
          throw new Error('by the owner')
        }
        const good = write(path, 4096, block(2))
        const advance = host.clock.advance(1).catch(onError)
        await advance
        await host.clock.advance(1)
        expect(await good.end).toBe(0)
        expect(thrown.length).toBe(1)
      } finally {
        process.removeListener('uncaughtException', onError)
        for (const listener of before) process.on('uncaughtException', listener)
      }
    }
  }
})

it('executes the rest of what a hang has held after a done that throws', async () => {
  const { open, array } = rig({ queueDepth: 2 })
  const path = await open(0)
  array.hang(0)
  const bad = write(path, 0, block(1))
  bad.io.done = () => {
    throw new Error('by the owner')
  }
  const good = [write(path, 4096, block(2)), write(path, 8192, block(3))]
  await turn()
  expect(() => array.release(0)).toThrow('by the owner')
  await turn()
  expect(good.map(({ status }) => status)).toEqual([0, 0])
})

describe('a path tells why its commands fail', () => {
  it('the first of a kind at once, and later ones with their count', async () => {
    const { open, array, host } = rig()
    const path = await open(1)
    const told: PathTrouble[] = []
    path.events.on('trouble', (trouble) => told.push(trouble))
    array.fail({ port: 1, offset: 8192, length: 4096, status: Errno.ENODATA })
    for (let n = 0; n < 3; n++) await send(path, IoOp.Read, 8192, 4096).end
    await host.clock.advance(5000)
    await send(path, IoOp.Read, 8192, 4096).end
    array.heal()
    array.fail({ port: 1, status: Errno.EIO | PATH_ERROR })
    await write(path, 0, block(1)).end
    await turn()
    const where = `block ${8192 / path.limits.blockSize}, LUN 0 through port 1`
    expect(told).toEqual([
      { kind: 'medium error', text: `medium error (ENODATA); read at ${where}`, severity: 'error', count: 1 },
      { kind: 'medium error', text: `medium error (ENODATA); read at ${where}`, severity: 'error', count: 3 },
      expect.objectContaining({ kind: 'path error', severity: 'warning', count: 1 }),
    ])
  })

  it('and why it has failed, before its Ios end', async () => {
    const { open, array } = rig()
    const path = await open(1)
    const sent = write(path, 0, block(1))
    array.portDown(1)
    expect(path.failure?.message).toMatch(/port 1/)
    await sent.end
  })
})
