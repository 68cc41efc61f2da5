import type { NetlinkAttribute } from '@blockbraid/linux'
import { describe, expect, it } from 'vitest'
import { guardEntry, parseGuardEntry } from '../../src/kernel/guard-entry.ts'
import { backendOf, identityOf } from '../../src/kernel/identity.ts'
import {
  chosenIndex,
  connectAttributes,
  disconnectAttributes,
  reconfigureAttributes,
} from '../../src/kernel/netlink.ts'

/** Attributes as `type: hex`, nested ones as lists. */
function shown(attributes: readonly NetlinkAttribute[]): unknown[] {
  return attributes.map(({ type, value }) =>
    value instanceof Uint8Array ? [type, Buffer.from(value).toString('hex')] : [type, shown(value)],
  )
}

describe('netlink attributes of the nbd driver', () => {
  const spec = {
    size: 2 ** 33,
    blockSize: 4096,
    flags: 0x145,
    sockets: [7, 300],
    backend: 'blockbraid/a@b',
    requestTimeout: 0,
    takeOverTimeout: 60_000,
  }
  const backend = [10, `${Buffer.from(spec.backend).toString('hex')}00`]

  it('connects', () => {
    expect(shown(connectAttributes(spec))).toEqual([
      [2, '0000000002000000'],
      [3, '0010000000000000'],
      [5, '4501000000000000'],
      [6, '0000000000000000'],
      [8, '3c00000000000000'],
      backend,
      [
        7,
        [
          [1, [[1, '07000000']]],
          [1, [[1, '2c010000']]],
        ],
      ],
    ])
  })

  it('rounds times up to seconds', () => {
    const attributes = shown(connectAttributes({ ...spec, requestTimeout: 1001, takeOverTimeout: 1 }))
    expect(attributes).toContainEqual([4, '0200000000000000'])
    expect(attributes).toContainEqual([8, '0100000000000000'])
  })

  it('changes what it is told to alone', () => {
    const only = (change: object): unknown[] => shown(reconfigureAttributes(5, spec.backend, change))
    const index = [1, '05000000']
    expect(only({})).toEqual([index, backend])
    expect(only({ size: 512 })).toEqual([index, backend, [2, '0002000000000000']])
    expect(only({ takeOverTimeout: 2000 })).toEqual([index, backend, [8, '0200000000000000']])
    expect(only({ socket: 9 })).toEqual([index, backend, [7, [[1, [[1, '09000000']]]]]])
  })

  it('disconnects', () => {
    expect(shown(disconnectAttributes(3))).toEqual([[1, '03000000']])
  })

  it('finds the index that the kernel chose', () => {
    const attributes = [
      { type: 9, value: Buffer.alloc(0) },
      { type: 1, value: Buffer.from('02000000', 'hex') },
    ]
    expect(chosenIndex([{ command: 1, attributes }])).toBe(2)
    expect(() => chosenIndex([])).toThrow('did not say which node')
  })
})

describe('identity', () => {
  it('goes through the backend identifier', () => {
    const identity = { name: 'vol-1', volume: 't10.A@B' }
    expect(identityOf(backendOf(identity))).toEqual(identity)
    expect(identityOf(backendOf({ name: 'x', volume: '' }))).toEqual({ name: 'x', volume: '' })
  })

  it('is not seen in nodes of others', () => {
    for (const backend of ['', 'vol-1@x', 'blockbraid/vol-1', 'other/a@b']) expect(identityOf(backend)).toBeUndefined()
  })

  it.each(['', 'a b', 'a@b', 'ä', 'x'.repeat(256)])('refuses the name %j', (name) => {
    expect(() => backendOf({ name, volume: 'naa.1' })).toThrow(/^nbd: name is /)
  })

  it('takes a volume with spaces, and none with a line end', () => {
    expect(identityOf(backendOf({ name: 'a', volume: 't10.A  B' }))).toEqual({ name: 'a', volume: 't10.A  B' })
    expect(() => backendOf({ name: 'a', volume: 'a\nb' })).toThrow(/^nbd: volume is "a/)
  })
})

describe('entry of a guard', () => {
  it('is one line, read back', () => {
    const entry = { index: 12, pid: 345, backend: 'blockbraid/a@t10.A  B' }
    expect(parseGuardEntry(guardEntry(entry))).toEqual(entry)
    for (const wrong of ['', 'nbd1 x', 'nbdx 1 b', 'nbd1 2 ']) expect(() => parseGuardEntry(wrong)).toThrow(TypeError)
  })
})
