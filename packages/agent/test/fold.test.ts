import { expect, it } from 'vitest'
import { main } from '../src/program.ts'
import { fold } from '../src/text/facts.ts'

it('a long text is folded between its words, which stay whole', () => {
  expect(fold('one two', 80)).toBe('one two')
  expect(fold('vol-0 has a-very-long-name, other; no', 14)).toBe('vol-0 has\n  a-very-long-name,\n  other; no')
})

it('what is wrong is told a person in lines that fit, and a program in one', async () => {
  for (const interactive of [true, false]) {
    const lines: string[] = []
    const code = await main(
      ['up', `/nowhere/${'a'.repeat(40)} ${'b'.repeat(30)} ${'c'.repeat(40)} ${'d'.repeat(30)}`],
      {
        out: () => {},
        err: (text) => lines.push(...text.split('\n')),
        columns: 80,
        interactive,
        env: {},
        folder: '/nowhere',
        nodeTransports: [],
        interrupted: new AbortController().signal,
      },
    )
    expect([code, lines.length]).toEqual([1, interactive ? 3 : 1])
    if (interactive) expect(Math.max(...lines.map((line) => line.length))).toBeLessThanOrEqual(80)
  }
})
