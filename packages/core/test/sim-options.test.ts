import { describe, expect, it } from 'vitest'
import { bugs } from '../../../scripts/sim/bugs/all.ts'
import { readOptions } from '../../../scripts/sim/options.ts'

const read = (...args: string[]) => readOptions(args, bugs)
const forEver = Number.POSITIVE_INFINITY

describe('the options of the simulator', () => {
  it('are what they were where nothing is said', () => {
    expect(read()).toEqual({ kind: 'play', from: undefined, jobs: 2, count: 10_000, time: forEver, bug: undefined })
  })

  it('are read', () => {
    expect(read('--minutes', '0.5')).toMatchObject({ count: forEver, time: 30_000 })
    expect(read('--minutes=1', '--schedules=7')).toMatchObject({ count: 7, time: 60_000 })
    expect(read('--from', '0', '--jobs', '1', '--bug', 'no-pump')).toMatchObject({
      from: 0,
      jobs: 1,
      bug: { name: 'no-pump' },
    })
    expect(read('--bugs', '--from', '5')).toEqual({ kind: 'bugs', from: 5, jobs: 2 })
    expect(read('--help', '--bugs')).toEqual({ kind: 'help' })
  })

  it.each([
    ['--schedules 0', /^--schedules is "0"; it must be a whole number from 1 to \d+$/],
    ['--schedules x', /^--schedules is "x"; it must be a whole number from 1 to \d+$/],
    ['--schedules -1', /^--schedules is "-1"; it must be a whole number/],
    ['--schedules=', /^--schedules is ""; it must be a whole number/],
    ['--schedules 1.5', /^--schedules is "1.5"; it must be a whole number/],
    ['--from x', /^--from is "x"; it must be a whole number from 0 to 4503599627370496$/],
    ['--from -5', /^--from is "-5"; it must be a whole number from 0 to/],
    ['--from 1.5', /^--from is "1.5"; it must be a whole number from 0 to/],
    ['--from 9007199254740992', /^--from is "9007199254740992"; it must be a whole number from 0 to/],
    ['--from', /^--from has no value; one must follow it$/],
    ['--jobs 0', /^--jobs is "0"; it must be a whole number from 1 to 256$/],
    ['--minutes 0', /^--minutes is "0"; it must be a number above 0, 30000 at most$/],
    ['--minutes Infinity', /^--minutes is "Infinity"; it must be a number above 0, 30000 at most$/],
    ['--bug nosuch', /^--bug is "nosuch"; it must be one of retry-before-fence, double-completion, /],
    ['--bug no-pump --bugs', /^--bug is no-pump; beside --bugs, which finds each bug, it must be left out$/],
    ['--bugs --minutes 3', /^--minutes is 3; beside --bugs/],
    ['--bugs=1', /^--bugs is 1; it must be given without a value$/],
    ['--nosuch', /^--nosuch is not a known option; the options are --minutes, --schedules, --from, --jobs, --bug, /],
    ['-x', /^-x is not a known option; the options are/],
    ['foo', /^foo is no option; the options are --minutes, /],
  ])('that are wrong are told in one line: %s', (line, words) => {
    expect(() => read(...line.split(' '))).toThrow(TypeError)
    expect(() => read(...line.split(' '))).toThrow(words)
  })
})
