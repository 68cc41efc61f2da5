import { describe, expect, it } from 'vitest'
import { parseSendTargets } from '../../src/login/send-targets.ts'
import { encodeText } from '../../src/login/text.ts'
import { blockErrorOf } from './support/fails.ts'

function text(...pairs: [string, string][]): Buffer {
  return encodeText(pairs)
}

describe('SendTargets', () => {
  it('nothing', () => {
    expect(parseSendTargets(Buffer.alloc(0))).toEqual([])
  })

  it('targets with their portals, in order', () => {
    const answer = text(
      ['TargetName', 'iqn.2026-11.test:a'],
      ['TargetAddress', '10.0.0.1:3260,1'],
      ['TargetAddress', '[2001:db8::2]:3261,2'],
      ['TargetName', 'eui.02004567a425678d'],
      ['TargetAddress', 'array.example.org,3'],
      ['TargetName', 'naa.52004567ba64678d'],
    )
    expect(parseSendTargets(answer)).toEqual([
      {
        name: 'iqn.2026-11.test:a',
        portals: [
          { host: '10.0.0.1', port: 3260, tag: 1 },
          { host: '2001:db8::2', port: 3261, tag: 2 },
        ],
      },
      { name: 'eui.02004567a425678d', portals: [{ host: 'array.example.org', port: 3260, tag: 3 }] },
      { name: 'naa.52004567ba64678d', portals: [] },
    ])
  })

  it('joins a target that is named twice, and drops a repeated portal', () => {
    const answer = text(
      ['TargetName', 'iqn.a'],
      ['TargetAddress', 'h1,1'],
      ['TargetName', 'iqn.b'],
      ['TargetName', 'iqn.a'],
      ['TargetAddress', 'h1:3260,1'],
      ['TargetAddress', 'h1,2'],
    )
    expect(parseSendTargets(answer).map(({ name, portals }) => [name, portals.map(({ tag }) => tag)])).toEqual([
      ['iqn.a', [1, 2]],
      ['iqn.b', []],
    ])
  })

  it('passes over keys it does not know', () => {
    const answer = text(
      ['TargetName', 'iqn.a'],
      ['TargetAlias', 'x'],
      ['X-org.example.y', 'z'],
      ['TargetAddress', 'h,1'],
    )
    expect(parseSendTargets(answer)[0]!.portals.length).toBe(1)
  })

  it.each([
    ['an address before a name', text(['TargetAddress', 'h,1'])],
    ['a bad address', text(['TargetName', 'iqn.a'], ['TargetAddress', '1:2:3'])],
    ['no iSCSI name', text(['TargetName', 'disk'])],
    ['a name with a blank', text(['TargetName', 'iqn.a b'])],
    ['a name with a slash', text(['TargetName', 'iqn.a/../b'])],
    ['a name with a control character', text(['TargetName', 'iqn.a\u001b[2J'])],
    ['a name with a turned direction', text(['TargetName', 'iqn.a\u202eb'])],
    ['a name of 224 bytes', text(['TargetName', `iqn.${'x'.repeat(220)}`])],
    ['no text', Buffer.from([1, 2, 3])],
  ])('refuses %s', (_what, bytes) => {
    blockErrorOf(() => parseSendTargets(bytes), 'PROTOCOL')
  })

  it('takes 10 000 targets, and no more', () => {
    const names = Array.from({ length: 10_000 }, (_, i): [string, string] => ['TargetName', `iqn.t:${i}`])
    expect(parseSendTargets(text(...names)).length).toBe(10_000)
    blockErrorOf(() => parseSendTargets(text(...names, ['TargetName', 'iqn.t:x'])), 'TOO_LARGE')
  })

  it('takes 10 000 portals, and no more', () => {
    const addresses = Array.from({ length: 10_000 }, (_, i): [string, string] => ['TargetAddress', `h${i},1`])
    const answer: [string, string][] = [['TargetName', 'iqn.a'], ...addresses]
    expect(parseSendTargets(text(...answer))[0]!.portals.length).toBe(10_000)
    blockErrorOf(() => parseSendTargets(text(...answer, ['TargetAddress', 'h,1'])), 'TOO_LARGE')
  })
})
