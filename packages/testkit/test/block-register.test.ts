import { expect, it } from 'vitest'
import { BlockRegister } from '../src/simulation/block-register.ts'

it('zeroes that a read has seen may be those that stood there before', () => {
  const block = new BlockRegister(0)
  const write = block.submit(2, 0, 2)
  expect(block.acknowledge(write, 4, true)).toBeUndefined()
  const zeroes = block.submit(0, 0, 5)
  // Begun before the write: of the zeroes that were there then.
  expect(block.read(0, 1, 6, true)).toBeUndefined()
  expect(block.acknowledge(zeroes, 8, true)).toBeUndefined()
  // Begun before the end of the zeroes.
  expect(block.read(2, 7, 9, true)).toBeUndefined()
  expect(block.read(2, 9, 10, true)).toMatch(/^2, which is none of: 0 /)
})
