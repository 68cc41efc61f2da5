import { isVolumeId } from '@blockbraid/core'
import { describe, expect, it } from 'vitest'
import type { MemoryOptions } from '../src/index.ts'
import { createMemoryArray, fromUrl, memory } from '../src/index.ts'
import { parseSize } from '../src/sizes.ts'

describe('sizes', () => {
  it.each([
    ['512MiB', 512 * 2 ** 20],
    ['1 TiB', 2 ** 40],
    ['1.5GiB', 1.5 * 2 ** 30],
    ['4096', 4096],
    ['512B', 512],
    [4096, 4096],
  ])('%s', (text, bytes) => expect(parseSize('size', text)).toBe(bytes))

  it.each(['', '-1', '1MB', '1mib', 'MiB', '0', '0.3KiB', '9PiB', 0, -1, 1.5, 2 ** 53, null, {}, true])(
    'refuses %s',
    (size) => expect(() => parseSize('size', size)).toThrow(/^size is .*; it must be bytes above 0/),
  )
})

describe('options', () => {
  it.each<[unknown, string]>([
    [{ prots: 4 }, 'options.prots is unknown; known are name, volumes, '],
    [{ name: 'a/b' }, 'name is "a/b"; it must be 1 to 64 of the characters'],
    [{ volumes: {} }, 'volumes is [object Object]; it must be a list'],
    [{ volumes: [{}] }, 'volumes[0].size is undefined; it must be bytes'],
    [{ volumes: [{ size: 4096, sice: 1 }] }, 'volumes[0].sice is unknown'],
    [{ volumes: [{ size: 4097 }] }, 'volumes[0].size is 4097; it must be a multiple of the block size, 4096 bytes'],
    [{ volumes: [{ size: 4096, blockSize: 1024 }] }, 'volumes[0].blockSize is 1024; it must be 512 or 4096'],
    [{ volumes: [{ size: 4096, id: 'naa.1' }] }, 'volumes[0].id is "naa.1"; it must be an identity'],
    [
      {
        volumes: [
          { size: 4096, id: 't10.a' },
          { size: 4096, id: 't10.a' },
        ],
      },
      'volumes[1].id is "t10.a"; it must be the identity of no other volume',
    ],
    [{ volumes: [{ size: 4096, readOnly: 1 }] }, 'volumes[0].readOnly is 1; it must be true or false'],
    [{ controllers: 0 }, 'controllers is 0; it must be a whole number from 1 to 64'],
    [{ ports: 'four' }, 'ports is "four"; it must be a whole number'],
    [{ ports: [] }, 'ports is "[]"; it must be'],
    [{ ports: [{ controller: 2 }] }, 'ports[0].controller is 2; it must be a whole number from 0 to 1'],
    [{ ports: [{ latency: { base: -1 } }] }, 'ports[0].latency.base is -1; it must be microseconds'],
    [{ latency: 5 }, 'latency is 5; it must be an object'],
    [{ latency: { median: 5 } }, 'latency.median is unknown; known are base, jitter'],
    [{ queueDepth: 0 }, 'queueDepth is 0; it must be'],
    [{ maxTransfer: '1000' }, 'maxTransfer is "1000"; it must be a multiple of 4096 bytes'],
    [{ fenceDelay: 'long' }, 'fenceDelay is "long"; it must be microseconds'],
    [{ log: 'yes' }, 'log is "yes"; it must be true or false'],
    [{ initiator: '' }, 'initiator is ""; it must be'],
    [{ array: {} }, 'array is [object Object]; it must be an array made by createMemoryArray'],
    [{ array: createMemoryArray(), ports: 2 }, 'options.ports is an option of the array, which is given'],
    [{ array: createMemoryArray(), prots: 2 }, 'options.prots is unknown; beside array'],
  ])('%j', (options, message) => {
    expect(() => memory(options as MemoryOptions)).toThrow(TypeError)
    expect(() => memory(options as MemoryOptions)).toThrow(message)
  })

  it('makes identities that are well-formed, differ, and are the same in each run', () => {
    const ids = (name: string) =>
      createMemoryArray({ name, volumes: [{ size: 4096 }, { size: 4096 }] }).volumes.map(({ id }) => id)
    expect(ids('a')).toEqual(ids('a'))
    expect(new Set([...ids('a'), ...ids('b')]).size).toBe(4)
    expect(ids('a').every(isVolumeId)).toBe(true)
    expect(ids('a')[0]).toMatch(/^naa\.6[0-9a-f]{31}$/)
  })

  it('spreads ports over controllers and takes them one by one', () => {
    expect(createMemoryArray({ ports: 5 }).ports.map(({ controller }) => controller)).toEqual([0, 1, 0, 1, 0])
    const ports = [{ controller: 1 }, { controller: 1 }, {}]
    expect(createMemoryArray({ ports }).ports.map(({ controller }) => controller)).toEqual([1, 1, 0])
  })
})

describe('fromUrl', () => {
  it('reads every parameter', () => {
    const options = fromUrl(
      new URL(
        'memory:tier1?volumes=2&size=128MiB&blockSize=512&ports=6&controllers=3&queueDepth=8&latency=200&maxTransfer=1MiB',
      ),
    )
    const volume = { size: '128MiB', blockSize: 512 }
    expect(options).toEqual({
      name: 'tier1',
      volumes: [volume, volume],
      ports: 6,
      controllers: 3,
      queueDepth: 8,
      latency: { base: 200 },
      maxTransfer: '1MiB',
    })
    expect(createMemoryArray(options).volumes.length).toBe(2)
  })

  it.each(['memory:', 'memory:///', 'memory://a1', 'memory:a1?volumes=1'])('%s makes an array', (url) => {
    expect(createMemoryArray(fromUrl(new URL(url))).volumes.map(({ size }) => size)).toEqual([64 * 2 ** 20])
  })

  it.each([
    ['iscsi://host/', 'address is "iscsi://host/"; it must be memory:'],
    ['memory:?prots=4', 'prots in memory:?prots=4 is unknown; known are volumes'],
    ['memory:?ports=x', 'ports is "x"; it must be a whole number'],
    ['memory:?ports=2&ports=3', 'ports stands twice'],
    ['memory:?volumes=0', 'volumes is 0; it must be'],
    ['memory:?volumes=99999999', 'volumes is 99999999; it must be a whole number from 1 to 4096'],
  ])('%s is refused', (url, message) => {
    expect(() => fromUrl(new URL(url))).toThrow(TypeError)
    expect(() => fromUrl(new URL(url))).toThrow(message)
  })
})
