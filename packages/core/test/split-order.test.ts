import { expect, it } from 'vitest'
import { Io, IoOp } from '../src/io.ts'
import { IoSource } from '../src/io-source.ts'
import { AttemptPool } from '../src/multipath/attempt-pool.ts'
import { Guards } from '../src/multipath/guards.ts'

function write(source: IoSource, length: number): Io {
  const io = new Io()
  io.op = IoOp.Write
  io.length = length
  io.source = source
  return io
}

it('the first split change of a second client waits for what the first client has under way', () => {
  const pool = new AttemptPool(() => {})
  const guards = new Guards(pool)
  const under = pool.take()
  under.parent = write(new IoSource(1), 512)
  expect(guards.holds(under, under.parent)).toBe(false)
  const second = new IoSource(2)
  const whole = write(second, 1024)
  guards.beginWhole(whole)
  const piece = pool.take()
  piece.parent = write(second, 512)
  piece.parent.whole = whole
  expect(guards.holds(piece, piece.parent)).toBe(true)
})
