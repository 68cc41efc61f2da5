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

it('of split changes of several clients, whose pieces are held back, a later one waits for an earlier one', () => {
  const pool = new AttemptPool(() => {})
  const guards = new Guards(pool)
  const piecesOf = (number: number) => {
    const source = new IoSource(number)
    const whole = write(source, 1024)
    guards.beginWhole(whole)
    return (): boolean => {
      const piece = pool.take()
      piece.parent = write(source, 512)
      piece.parent.whole = whole
      return guards.holds(piece, piece.parent)
    }
  }
  const [first, second, third] = [piecesOf(1), piecesOf(2), piecesOf(3)]
  expect([second(), third(), first()]).toEqual([true, true, false])
})

it('a change that begins while the pieces of a split one are held back waits for it', () => {
  const pool = new AttemptPool(() => {})
  const guards = new Guards(pool)
  guards.beginWhole(write(new IoSource(1), 1024))
  const single = pool.take()
  single.parent = write(new IoSource(2), 512)
  expect(guards.holds(single, single.parent)).toBe(true)
})
