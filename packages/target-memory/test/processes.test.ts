import { Errno, PATH_ERROR } from '@blockbraid/core'
import { describe, expect, it } from 'vitest'
import { memory } from '../src/index.ts'
import type { Rig } from './helpers.ts'
import { block, flush, read, rig, turn, write } from './helpers.ts'

/** Whether a promise has settled by now. */
async function settled(promise: Promise<unknown>): Promise<boolean> {
  let done = false
  const note = (): void => {
    done = true
  }
  promise.then(note, note)
  await turn()
  return done
}

/** A second process on the same array, in the same time. */
const next = ({ array, host }: Rig, initiator = 'host1') => memory({ array, initiator }, host)

describe('a process that was killed', () => {
  it('is never answered, and what it had sent is executed in its time', async () => {
    const old = rig({ latency: { base: 1000 } })
    const path = await old.open(0)
    const news: string[] = []
    path.events.on('down', () => news.push('down'))
    path.events.on('access', () => news.push('access'))
    old.target.events!.on('changed', () => news.push('changed'))
    const sent = [write(path, 0, block(1)), flush(path)]
    await turn()
    sent.push(write(path, 4096, block(2)))
    old.target.kill()
    old.target.kill()
    sent.push(write(path, 8192, block(3)))
    old.array.setAccess('all', 'all', 'non-optimized')
    old.array.addVolume({ size: 4096 })
    old.array.portDown(0)
    await old.host.clock.advance(100)
    expect(sent.map(({ status }) => status)).toEqual([undefined, undefined, undefined, undefined])
    expect(news).toEqual([])
    expect([0, 4096, 8192].map((at) => old.array.peek(0, at, 1)[0])).toEqual([1, 2, 0])
  })

  it('gets no answer to a call, before or after', async () => {
    const old = rig()
    const path = await old.open(1)
    const [info] = await old.target.discover()
    old.array.hang(0)
    const waiting = old.target.connect(info!)
    const closing = (await old.open(2)).close()
    await turn()
    old.target.kill()
    old.array.release(0)
    const calls = [waiting, old.target.discover(), old.target.connect(info!), path.close(), path.activate!()]
    calls.push(old.target.fence!(path.fenceToken!))
    for (const call of calls) expect(await settled(call)).toBe(false)
    expect(await settled(closing)).toBe(true)
    expect(await settled(old.target.close())).toBe(true)
  })

  it('leaves a fence that had begun to those who come', async () => {
    const old = rig({ fenceDelay: 1000 })
    const path = await old.open(0)
    old.array.hang(0)
    write(path, 0, block(1))
    await turn()
    const closing = path.close()
    await turn()
    old.target.kill()
    await old.host.clock.advance(10)
    expect(await settled(closing)).toBe(false)
    old.array.release(0)
    expect(old.array.peek(0, 0, 1)[0]).toBe(1)
  })
})

describe('a fence for another process', () => {
  it('ends what the dead one had in the array: it never lands', async () => {
    const old = rig({ fenceDelay: 1000 })
    const path = await old.open(0)
    old.array.hang(0)
    write(path, 0, block(1))
    await turn()
    old.target.kill()
    const heir = next(old)
    const fence = heir.fence!(path.fenceToken!)
    expect(await settled(fence)).toBe(false)
    await old.host.clock.runUntil(fence)
    const other = await heir.connect((await heir.discover())[1]!)
    await write(other, 0, block(2)).end
    old.array.release(0)
    expect(await read(other, 0, 4096)).toEqual(block(2))
    expect(old.array.ports[0]).toMatchObject({ commands: 0, paths: 0 })
  })

  it('without it, old data lands last', async () => {
    const old = rig()
    const path = await old.open(0)
    old.array.hang(0)
    write(path, 0, block(1))
    await turn()
    old.target.kill()
    const heir = next(old)
    const other = await heir.connect((await heir.discover())[1]!)
    await write(other, 0, block(2)).end
    old.array.release(0)
    expect(await read(other, 0, 4096)).toEqual(block(1))
  })

  it('takes a path down that still lives, with what it had in flight', async () => {
    const old = rig()
    const path = await old.open(0)
    old.array.hang(0)
    const sent = write(path, 0, block(1))
    await turn()
    const down = new Promise<Error>((resolve) => path.events.on('down', resolve))
    await next(old).fence!(path.fenceToken!)
    expect(await sent.end).toBe(Errno.EIO | PATH_ERROR)
    expect(await down).toMatchObject({ code: 'CONNECT_FAILED', message: 'connection 1 was ended by a fence' })
    old.array.release(0)
    expect(old.array.peek(0, 0, 1)[0]).toBe(0)
    await path.close()
    await old.open(0)
  })

  it('waits while fences stick, until its signal fires', async () => {
    const old = rig()
    const path = await old.open(0)
    old.target.kill()
    old.array.stickFences()
    const heir = next(old)
    const fence = heir.fence!(path.fenceToken!)
    const abort = new AbortController()
    const late = heir.fence!(path.fenceToken!, { signal: abort.signal })
    expect(await settled(fence)).toBe(false)
    abort.abort(new DOMException('late', 'TimeoutError'))
    await expect(late).rejects.toMatchObject({ code: 'TIMED_OUT' })
    old.array.freeFences()
    await fence
    await heir.fence!(path.fenceToken!)
    await expect(heir.fence!(path.fenceToken!, { signal: AbortSignal.abort() })).rejects.toMatchObject({
      code: 'ABORTED',
    })
    await heir.close()
    await expect(heir.fence!(path.fenceToken!)).rejects.toMatchObject({ code: 'CLOSED' })
  })

  it('knows the connections of its own array alone, by tokens without secrets that are never used twice', async () => {
    const one = rig()
    const other = rig()
    const [path, again] = [await one.open(0), await one.open(0)]
    expect(path.fenceToken).toMatch(/^memory:array0\/\d+-\d+\/\d+\/connection 1$/)
    expect(again.fenceToken).not.toBe(path.fenceToken)
    const foreign = [
      (await other.open(0)).fenceToken!,
      (await rig({ name: 'array1' }).open(0)).fenceToken!,
      path.fenceToken!.replace('connection 1', 'connection 3'),
      'memory:array0',
      'iscsi:x',
      '',
    ]
    for (const token of foreign) {
      await expect(one.target.fence!(token), token).rejects.toMatchObject({ code: 'NOT_SUPPORTED' })
    }
  })

  it('has nothing to do for an array that lived in a process that has ended', async () => {
    const { target, open } = rig()
    const path = await open(0)
    const token = path.fenceToken!.replace(/\d+-\d+/, '1-1')
    await target.fence!(token)
    expect(await flush(path).end).toBe(0)
  })
})
