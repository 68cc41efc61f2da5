import { describe, expect, it } from 'vitest'
import { parseTargetAddress } from '../../src/login/address.ts'
import { encodeText, parseText, printable, shown, splitText } from '../../src/login/text.ts'
import { encodeBinary, parseBinary, parseNumber } from '../../src/login/values.ts'
import { blockErrorOf } from './support/fails.ts'

describe('text keys', () => {
  it('splits pairs, keeps the order, repeats and empty values', () => {
    expect(splitText(Buffer.from('A=1\0B=\0A=x=y\0'))).toEqual([
      ['A', '1'],
      ['B', ''],
      ['A', 'x=y'],
    ])
  })

  it('skips empty entries and forgives a missing last NUL', () => {
    expect(splitText(Buffer.from('\0\0A=1\0\0B=2'))).toEqual([
      ['A', '1'],
      ['B', '2'],
    ])
    expect(splitText(Buffer.alloc(0))).toEqual([])
  })

  it('reads values as UTF-8', () => {
    expect(parseText(Buffer.from('TargetAlias=Bänder\0')).get('TargetAlias')).toBe('Bänder')
    expect(parseText(Buffer.from('A=\ufeffx\0')).get('A')).toBe('\ufeffx')
  })

  it.each([
    ['no "="', Buffer.from('Abc\0')],
    ['no key', Buffer.from('=1\0')],
    ['a key of 64 characters', Buffer.from(`${'K'.repeat(64)}=1\0`)],
    ['a blank in the key', Buffer.from('A B=1\0')],
    ['a control character in the key', Buffer.from('A\n=1\0')],
    ['a key beyond ASCII', Buffer.from('Ä=1\0')],
    ['a value that is not UTF-8', Buffer.from([0x41, 0x3d, 0xff, 0xfe, 0])],
    ['a key that comes twice', Buffer.from('A=1\0B=2\0A=1\0')],
  ])('refuses %s', (_what, bytes) => {
    blockErrorOf(() => parseText(bytes), 'PROTOCOL')
  })

  it('takes a key of 63 characters', () => {
    expect(parseText(Buffer.from(`${'K'.repeat(63)}=1`)).size).toBe(1)
  })

  it('encodes pairs, each with its NUL', () => {
    expect(encodeText([['A', '1'], ['B', 'ü'] as const]).toString()).toBe('A=1\0B=ü\0')
    expect(encodeText([]).length).toBe(0)
  })

  it('never encodes a NUL, and does not tell the value', () => {
    expect(() => encodeText([['CHAP_N', 'hush\0A=1']])).toThrow(TypeError)
    expect(() => encodeText([['CHAP_N', 'hush\0A=1']])).not.toThrow(/hush/)
  })

  it('makes text of the other side fit for a terminal', () => {
    expect(printable('a\u001b[31mb\n\u202ec')).toBe('a\ufffd[31mb\ufffd\ufffdc')
    expect(shown('x'.repeat(500)).length).toBeLessThan(90)
    expect(shown('a\r\nb')).toBe('"a\ufffd\ufffdb"')
  })
})

describe('values', () => {
  it.each([
    ['0', 0],
    ['8192', 8192],
    ['0x10', 16],
    ['0XfF', 255],
    ['4294967295', 0xffff_ffff],
    ['4294967296', undefined],
    ['0xffffffff', 0xffff_ffff],
    ['0x100000000', undefined],
    ['-1', undefined],
    ['1.5', undefined],
    ['1e3', undefined],
    [' 1', undefined],
    ['1\n', undefined],
    ['', undefined],
    ['0x', undefined],
    ['Yes', undefined],
  ])('number %j', (text, value) => {
    expect(parseNumber(text)).toBe(value)
  })

  it.each([
    ['0x00ff', '00ff'],
    ['0XAb', 'ab'],
    ['0xabc', '0abc'],
    ['0bAAEC', '000102'],
    ['0BAAE=', '0001'],
    ['0bAA==', '00'],
    ['0x', undefined],
    ['0xg0', undefined],
    ['0b', undefined],
    ['0bA', undefined],
    ['0b====', undefined],
    ['0bAA=A', undefined],
    ['0bAA-_', undefined],
    ['00ff', undefined],
    ['', undefined],
  ])('binary %j', (text, hex) => {
    expect(parseBinary(text)?.toString('hex')).toBe(hex)
  })

  it('binary values go out in hex', () => {
    expect(encodeBinary(Uint8Array.of(0, 1, 0xfe))).toBe('0x0001fe')
    expect(encodeBinary(Buffer.from('xxabyy').subarray(2, 4))).toBe('0x6162')
  })
})

describe('target addresses', () => {
  it.each([
    ['10.0.0.1:3261,7', { host: '10.0.0.1', port: 3261, tag: 7 }],
    ['10.0.0.1,7', { host: '10.0.0.1', port: 3260, tag: 7 }],
    ['10.0.0.1', { host: '10.0.0.1', port: 3260, tag: undefined }],
    ['array-1.example.org:860', { host: 'array-1.example.org', port: 860, tag: undefined }],
    ['[2001:db8::1]:3260,1', { host: '2001:db8::1', port: 3260, tag: 1 }],
    ['[::1]', { host: '::1', port: 3260, tag: undefined }],
    ['[fe80::1%eth0],65535', { host: 'fe80::1%eth0', port: 3260, tag: 65_535 }],
    ['h,0x10', { host: 'h', port: 3260, tag: 16 }],
  ])('%s', (text, address) => {
    expect(parseTargetAddress(text)).toEqual(address)
  })

  it.each([
    '',
    ':3260',
    'h:',
    'h:0',
    'h:65536',
    'h:1:2',
    'h,',
    'h,65536',
    'h,x',
    '2001:db8::1:3260,1',
    '[10.0.0.1]',
    '[::1',
    '[::g]:1',
    'a b',
    'h\n',
    'h/x',
    'x'.repeat(400),
  ])('refuses %j', (text) => {
    expect(parseTargetAddress(text)).toBeUndefined()
  })
})
