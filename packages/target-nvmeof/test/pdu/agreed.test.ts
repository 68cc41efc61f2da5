import { expect, test } from 'vitest'
import { agree } from '../../src/pdu/agreed.ts'
import { icReq, termReq } from '../../src/pdu/encode.ts'
import { termReqWords } from '../../src/pdu/fault.ts'
import { icResp } from '../support/controller-pdus.ts'

const request = { headerDigest: true, dataDigest: true, align: 64, maxR2t: 4 }

test('ICReq asks for digests, alignment and R2Ts', () => {
  expect(icReq(request).toString('hex', 0, 20)).toBe('000080008000000000000f030300000000000000')
})

test('what was asked for may be refused', () => {
  expect(agree(icResp({ digests: 2, cpda: 3, maxH2cData: 0x2_0000 }), 0, request)).toEqual({
    headerDigest: false,
    dataDigest: true,
    align: 16,
    maxH2cData: 0x2_0000,
  })
})

test.each([
  ['another PDU format', icResp({ pfv: 1 }), 6, 8],
  ['CPDA above 31', icResp({ cpda: 32 }), 1, 10],
  ['a header digest that was not asked for', icResp({ digests: 1 }), 1, 11],
  ['a data digest that was not asked for', icResp({ digests: 2 }), 1, 11],
  ['MAXH2CDATA below 4096', icResp({ maxH2cData: 4092 }), 1, 12],
  ['MAXH2CDATA of 0', icResp({ maxH2cData: 0 }), 1, 12],
  ['MAXH2CDATA that is no multiple of 4', icResp({ maxH2cData: 8190 }), 1, 12],
])('%s is refused', (_, bytes, fes, fei) => {
  expect(agree(bytes, 0, { ...request, headerDigest: false, dataDigest: false })).toMatchObject({ fes, fei })
})

test('a termination request has the header of the PDU in error, as far as there is room', () => {
  const bytes = termReq(3, 0x1234_5678, Buffer.alloc(500, 9))
  expect(bytes.length).toBe(152)
  expect(bytes.toString('hex', 0, 26)).toBe(`02001818980000000300785634120000${'00'.repeat(8)}0909`)
})

test('every fatal error status has words, also one that is none', () => {
  expect([1, 2, 3, 4, 5, 6, 7, 0xffff].map((fes) => termReqWords(fes, 12))).toEqual([
    'a field of a header is invalid (01h, byte 12)',
    'a PDU came out of sequence (02h)',
    'a header digest is wrong (03h)',
    'data outside of what was asked for (04h)',
    'more data than agreed on (05h)',
    'a parameter that it does not support (06h, byte 12)',
    'fatal error status 07h, which the standard does not have',
    'fatal error status ffffh, which the standard does not have',
  ])
})
