import { createHostAgent, Errno, Io, IoOp, PATH_ERROR } from '@blockbraid/core'
import { describe, expect, it } from 'vitest'
import { memory } from '../src/index.ts'
import { block, rig, turn } from './helpers.ts'

describe('README', () => {
  it('gives one device over four paths, and over three', async () => {
    const target = memory({ volumes: [{ size: '512MiB' }], ports: 4 })
    await using agent = createHostAgent({ targets: [target] })
    await agent.rescan()
    const device = await agent.open(target.array.volumes[0]!.id)
    await device.write(0, block(1))
    target.array.portDown(2)
    await device.write(4096, block(2))
    expect(target.array.peek(0, 0, 8192)).toEqual(new Uint8Array([...block(1), ...block(2)]))
  })

  it.each([false, true])('lets old data land last, unless there was a fence: %s', async (fence) => {
    const { array, open } = rig()
    const [path0, path1] = [await open(0), await open(1)]
    const write = (fill: number): Io => {
      const io = new Io()
      Object.assign(io, { op: IoOp.Write, length: 4096, buffers: [block(fill)] })
      io.done = (_io, status) => ends.push(status)
      return io
    }
    const ends: number[] = []
    array.hang(0)
    path0.submit(write(1))
    await turn()
    array.portDown(0)
    if (fence) await path0.close()
    path1.submit(write(2))
    await turn()
    array.release(0)
    expect(ends).toEqual([Errno.EIO | PATH_ERROR, 0])
    expect(array.peek(0, 0, 1)[0]).toBe(fence ? 2 : 1)
  })
})
