import { expect, it } from 'vitest'
import type { BlockDevice, Io } from '../src/index.ts'
import { Errno, IoOp, IoSource, OK, userDevice } from '../src/index.ts'
import { LIMITS, send } from './support/rig.ts'

const GIB = 2 ** 30
const MIB = 2 ** 20

/** A device that cannot write zeroes and holds back what it is given. */
function holding() {
  const held: Io[] = []
  const device: BlockDevice = {
    limits: { ...LIMITS, size: 4096 * GIB, maxTransfer: 32 * MIB, writeZeroes: false },
    submit: (io) => void held.push(io),
    abandon: () => {},
    close: async () => {},
  }
  const bytes = (): number => held.reduce((sum, { length }) => sum + length, 0)
  const complete = (count: number, status: number = OK): void => {
    for (const io of held.splice(0, count)) io.done(io, status)
  }
  return { held, user: userDevice(device), bytes, complete }
}

it('zeroing 4 GiB that the device cannot do keeps 8 MiB of writes in flight, all of one small memory', async () => {
  const { held, user, bytes, complete } = holding()
  const sent = send(user, IoOp.WriteZeroes, 0, 4 * GIB)
  const memory = new Set<ArrayBufferLike>()
  for (let done = 0; done < 4 * GIB; ) {
    expect(bytes()).toBeLessThanOrEqual(8 * MIB)
    for (const view of held[0]!.buffers) memory.add(view.buffer)
    done += held[0]!.length
    complete(1)
  }
  expect(await sent.ended).toBe(OK)
  expect([...memory].reduce((sum, { byteLength }) => sum + byteLength, 0)).toBeLessThanOrEqual(65536)
})

it('128 such requests at once keep little more in flight, and each goes on', async () => {
  const { user, bytes, held, complete } = holding()
  const all = Array.from({ length: 128 }, (_, n) => send(user, IoOp.WriteZeroes, n * 16 * MIB, 16 * MIB))
  let highest = 0
  const offsets = new Set<number>()
  for (let turn = 0; held.length > 0; turn++) {
    highest = Math.max(highest, bytes())
    if (turn < 256) offsets.add(Math.floor(held[0]!.offset / (16 * MIB)))
    complete(1)
  }
  expect(highest).toBeLessThanOrEqual(16 * MIB)
  expect(offsets.size).toBe(128)
  expect(await Promise.all(all.map(({ ended }) => ended))).toEqual(Array(128).fill(OK))
})

it('none of them waits for the others to fail first where the device fails', async () => {
  const { user, held, complete } = holding()
  const all = Array.from({ length: 128 }, (_, n) => send(user, IoOp.WriteZeroes, n * GIB, GIB))
  complete(held.length, Errno.EIO)
  expect(held.length).toBe(0)
  expect(await Promise.all(all.map(({ ended }) => ended))).toEqual(Array(128).fill(Errno.EIO))
})

it('one whose client is gone is not carried on, and leaves its part to others', async () => {
  const { user, held, complete, bytes } = holding()
  const source = new IoSource(0)
  const sent = send(user, IoOp.WriteZeroes, 0, 4 * GIB, 0, source)
  user.abandon!(source)
  complete(held.length)
  expect(held.length).toBe(0)
  expect(await sent.ended).toBe(Errno.ECANCELED)
  void send(user, IoOp.WriteZeroes, 0, GIB)
  expect(bytes()).toBe(8 * MIB)
})
