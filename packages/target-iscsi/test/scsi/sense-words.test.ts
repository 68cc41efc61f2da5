import { expect, it } from 'vitest'
import { senseInWords } from '../../src/scsi/sense-words.ts'

const sense = (key: number, asc: number, ascq: number, deferred = false) => ({
  deferred,
  key,
  asc,
  ascq,
  information: undefined,
})

it.each([
  ['medium error, unrecovered read error (03/11/00)', 3, 0x11, 0],
  ['medium error, unrecovered read error (03/11/7f)', 3, 0x11, 0x7f],
  ['not ready, manual intervention required (02/04/03)', 2, 4, 3],
  ['data protect, no space left to allocate (07/27/07)', 7, 0x27, 7],
  ['data protect, write protected (07/27/31)', 7, 0x27, 0x31],
  ['hardware error, internal target failure (04/44/00)', 4, 0x44, 0],
  ['aborted command (0b/00/00)', 0xb, 0, 0],
  ['vendor specific (09/80/01)', 9, 0x80, 1],
])('sense data in words: %s', (text, key, asc, ascq) => {
  expect(senseInWords(sense(key, asc, ascq))).toBe(text)
})

it('sense data of an earlier command in words', () => {
  expect(senseInWords(sense(3, 0x0c, 0, true))).toBe('deferred medium error, write error (03/0c/00)')
})
