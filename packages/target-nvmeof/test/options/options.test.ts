import { describe, expect, it } from 'vitest'
import type { NvmeofOptions } from '../../src/options/options.ts'
import { resolveOptions } from '../../src/options/options.ts'
import { scout } from '../../src/options/scout.ts'
import { fromUrl } from '../../src/options/url.ts'

const SUBSYSTEM = 'nqn.2026-11.io.example:array'
const good: NvmeofOptions = { portals: ['192.0.2.1'], subsystem: SUBSYSTEM }

describe('the options of NVMe/TCP', () => {
  it('have a default each', () => {
    expect(resolveOptions(good)).toMatchObject({
      name: '192.0.2.1:4420',
      queues: 1,
      queueDepth: 128,
      maxTransfer: 1_048_576,
      headerDigest: false,
      dataDigest: false,
      keepAliveTimeout: 5000,
      quiesceTime: 10_000,
      toldPortals: true,
      maxToldPortals: 64,
      namespaces: undefined,
    })
  })

  it('give a portal the port of discovery controllers where no subsystem is named, and of the others where one is', () => {
    const portals = ['192.0.2.1', '[2001:DB8::1]', 'array.example:1234', '192.0.2.1:8009']
    expect(resolveOptions({ portals }).portals.map(({ address }) => address)).toEqual([
      '192.0.2.1:8009',
      '[2001:db8::1]:8009',
      'array.example:1234',
    ])
    expect(resolveOptions({ ...good, portals }).portals[0]?.address).toBe('192.0.2.1:4420')
  })

  it.each<[string, object, string]>([
    ['no portals', { portals: [] }, 'options.portals is '],
    [
      'a portal that is none',
      { portals: ['a b'] },
      'options.portals[0] is "a b"; it must be host, host:port or [v6]:port',
    ],
    ['a subsystem that is no NQN', { subsystem: 'iqn.2026-11.io.example:a' }, 'options.subsystem is "iqn.'],
    ['a slash in a name', { subsystem: 'nqn.2026-11.io/a' }, 'options.subsystem is "nqn.2026-11.io/a"'],
    ['a name of 224 bytes', { subsystem: `nqn.${'é'.repeat(110)}` }, 'options.subsystem is '],
    ['the discovery subsystem', { subsystem: 'nqn.2014-08.org.nvmexpress.discovery' }, 'leave it out'],
    ['namespace 0', { namespaces: [0] }, 'options.namespaces[0] is 0; it must be a whole number from 1 to'],
    ['no namespaces', { namespaces: [] }, 'options.namespaces is '],
    ['a short keep-alive', { keepAliveTimeout: 50 }, 'options.keepAliveTimeout is 50'],
    ['digests that are no flag', { dataDigest: 'yes' }, 'options.dataDigest is "yes"; it must be true or false'],
    ['a host id that is no UUID', { hostId: '1234' }, 'options.hostId is "1234"; it must be a UUID such as'],
    ['a host id of zeroes', { hostId: '00000000-0000-0000-0000-000000000000' }, 'not all of it 0'],
    ['a network that is none', { toldPortals: ['192.0.2.0/33'] }, 'options.toldPortals[0] is "192.0.2.0/33"'],
    ['a name as local address', { localAddress: 'eth0' }, 'options.localAddress is "eth0"'],
    ['what nobody knows', { lun: 3 }, 'options.lun is unknown'],
  ])('refuse %s, and say what would be right', (_, wrong, message) => {
    const resolve = () => resolveOptions({ ...good, ...wrong } as NvmeofOptions)
    expect(resolve).toThrow(TypeError)
    expect(resolve).toThrow(message)
  })

  it('are the same for somebody who only looks around', () => {
    expect(scout(good)).toEqual(good)
  })
})

describe('an address nvme-tcp:', () => {
  const read = (text: string) => fromUrl(new URL(text))

  it('names a portal, a subsystem and a namespace', () => {
    expect(read('nvme-tcp://192.0.2.1')).toEqual({ portals: ['192.0.2.1'] })
    expect(read('nvme-tcp://[2001:db8::1]:4421/')).toEqual({ portals: ['[2001:db8::1]:4421'] })
    expect(read(`nvme-tcp://array.example/${SUBSYSTEM}/3`)).toEqual({
      portals: ['array.example'],
      subsystem: SUBSYSTEM,
      namespaces: [3],
    })
    expect(read(`nvme-tcp://a/${encodeURIComponent(SUBSYSTEM)}`)).toMatchObject({ subsystem: SUBSYSTEM })
    expect(read('nvme-tcp://[fe80::1]/?zone=eth0')).toEqual({ portals: ['[fe80::1%eth0]'] })
  })

  it.each([
    ['nvme-tcp://h/?chap=x', '?chap is unknown'],
    ['nvme-tcp://user@h/', 'it takes no user and no secret'],
    ['nvme-tcp://h/nqn.a/x', 'it must be a number'],
    ['nvme-tcp://h/nqn.a/1/2', 'too many parts'],
    ['nvme-tcp:///nqn.a', 'an NVMe/TCP address looks like'],
  ])('%s is refused: %s', (text, message) => {
    expect(() => read(text)).toThrow(message)
  })

  it('show nothing of what stands before an @ in a portal', () => {
    const resolve = () => resolveOptions({ portals: ['alice%hunter2@192.0.2.1'] })
    expect(resolve).toThrow(/portals\[0\] is "192\.0\.2\.1"; it must be host/)
  })
})
