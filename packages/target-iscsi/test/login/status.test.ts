import type { ErrorCode } from '@blockbraid/core'
import { describe, expect, it } from 'vitest'
import { noAuth, play } from './support/answers.ts'
import { blockErrorOf } from './support/fails.ts'

// RFC 7143 §11.13.5
const refusals: [number, ErrorCode][] = [
  [0x0200, 'CONNECT_FAILED'],
  [0x0201, 'DENIED'],
  [0x0202, 'DENIED'],
  [0x0203, 'NOT_FOUND'],
  [0x0204, 'NOT_FOUND'],
  [0x0205, 'NOT_SUPPORTED'],
  [0x0206, 'CONNECT_FAILED'],
  [0x0207, 'PROTOCOL'],
  [0x0208, 'CONNECT_FAILED'],
  [0x0209, 'NOT_SUPPORTED'],
  [0x020a, 'CONNECT_FAILED'],
  [0x020b, 'PROTOCOL'],
  [0x020c, 'CONNECT_FAILED'],
  [0x0300, 'CONNECT_FAILED'],
  [0x0301, 'CONNECT_FAILED'],
  [0x0302, 'CONNECT_FAILED'],
  [0x03ff, 'CONNECT_FAILED'],
  [0x0400, 'PROTOCOL'],
  [0xffff, 'PROTOCOL'],
]

describe('login status', () => {
  it.each(refusals)('0x%s ends the login as %s, in either stage', (status, code) => {
    const shown = `0x${status.toString(16).padStart(4, '0')}`
    expect(blockErrorOf(() => play({}, [{ status }]), code).message).toContain(shown)
    expect(blockErrorOf(() => play({}, [noAuth, { status }]), code).message).toContain(shown)
  })

  it('a refusal tells how far authentication went', () => {
    expect(blockErrorOf(() => play({}, [{ status: 0x0201 }]), 'DENIED').message).toContain('AuthMethod=None offered')
  })

  it('a refusal counts even where the target filled in nothing else', () => {
    blockErrorOf(
      () => play({}, [{ status: 0x0203, isid: new Uint8Array(6), itt: 0xffff_ffff, version: 9 }]),
      'NOT_FOUND',
    )
  })

  it.each([
    '10.0.0.2',
    '10.0.0.2:3261',
    '10.0.0.2:3261,5',
    '[2001:db8::5]',
    '[2001:db8::5]:3261,1',
    'array.example.org',
  ])('moved to %s', (address) => {
    const text = { TargetAddress: address }
    expect(play({}, [{ status: 0x0101, text }]).step).toEqual({ kind: 'moved', address, permanent: false })
    expect(play({}, [{ status: 0x0102, text }]).step).toEqual({ kind: 'moved', address, permanent: true })
    expect(play({}, [noAuth, { status: 0x0101, text }]).step).toMatchObject({ kind: 'moved', address })
  })

  it('moved to several addresses: the first counts', () => {
    const text = Buffer.from('X=1\0TargetAddress=a:1\0TargetAddress=b:2\0')
    expect(play({}, [{ status: 0x0101, text }]).step).toMatchObject({ address: 'a:1' })
  })

  it.each([
    ['nowhere', { status: 0x0101 }],
    ['a bad address', { status: 0x0102, text: { TargetAddress: 'a:b:c' } }],
    ['an empty address', { status: 0x0102, text: { TargetAddress: '' } }],
    ['somewhere in an unknown way', { status: 0x0103, text: { TargetAddress: 'a' } }],
    ['somewhere in a text that is none', { status: 0x0101, text: Buffer.from('TargetAddress') }],
  ])('refuses to move %s', (_where, answer) => {
    blockErrorOf(() => play({}, [answer]), 'PROTOCOL')
  })
})
