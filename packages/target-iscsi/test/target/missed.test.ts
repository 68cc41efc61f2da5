import { expect, it } from 'vitest'
import { lunOf } from '../../src/scsi/lun.ts'
import { News } from '../../src/scsi/status.ts'
import { MissedNews } from '../../src/target/nexus/missed.ts'

const LUN = lunOf(1)

/** Fixed format sense data of a unit attention (SPC-5 §4.4.3). */
function attention(asc: number, ascq: number): Uint8Array {
  const sense = new Uint8Array(18)
  sense.set([0x70, 0, 6])
  sense.set([10], 7)
  sense.set([asc, ascq], 12)
  return sense
}

function begun(): MissedNews {
  const missed = new MissedNews()
  missed.begin()
  return missed
}

it('29h/00h first of all in a session is what targets say to every login, and tells of no loss', () => {
  const missed = begun()
  missed.hear(LUN, attention(0x29, 0))
  expect(missed.take(LUN)).toBe(0)
})

it('29h/01h and 29h/04h tell of a loss at any time', () => {
  for (const ascq of [1, 4]) {
    const missed = begun()
    missed.hear(LUN, attention(0x29, ascq))
    expect([missed.take(LUN), missed.take(LUN)]).toEqual([News.Reset, 0])
  }
})

it('29h/00h later in a session tells of a loss: after one at the login, and after a path was opened without', () => {
  const twice = begun()
  twice.hear(LUN, attention(0x29, 0))
  twice.hear(LUN, attention(0x29, 0))
  expect(twice.take(LUN)).toBe(News.Reset)
  const opened = begun()
  opened.take(LUN)
  opened.hear(LUN, attention(0x29, 0))
  expect(opened.take(LUN)).toBe(News.Reset)
  opened.begin()
  opened.hear(LUN, attention(0x29, 0))
  expect(opened.take(LUN)).toBe(0)
})

it('each logical unit greets for itself', () => {
  const missed = begun()
  missed.hear(LUN, attention(0x29, 0))
  missed.hear(lunOf(2), attention(0x29, 0))
  expect([missed.take(LUN), missed.take(lunOf(2))]).toEqual([0, 0])
})
