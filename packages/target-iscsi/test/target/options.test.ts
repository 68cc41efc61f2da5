import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import type { IscsiOptions } from '../../src/index.ts'
import { fromUrl, initiatorOf, iscsi, machineInitiator } from '../../src/index.ts'

const SECRET = 'geheim-4711-secret'
const chap = { user: 'alice', secret: SECRET }
const good: IscsiOptions = { portals: ['127.0.0.1'] }

function failure(options: unknown): Error {
  try {
    iscsi(options as IscsiOptions)
  } catch (error) {
    return error as Error
  }
  throw new Error(`${inspect(options)} was taken`)
}

describe('a wrong option', () => {
  test.each<[field: string, options: object]>([
    ['portals', { portals: [] }],
    ['portals', { portals: 'host' }],
    ['portals[1]', { portals: ['host', 'host:0'] }],
    ['portals[0]', { portals: ['host:65536'] }],
    ['portals[0]', { portals: [`alice%${SECRET}@host`] }],
    ['portals[0]', { portals: [{ host: 'h', secret: SECRET }] }],
    ['portal', { portal: 'host' }],
    ['target', { target: 'disk1' }],
    ['target', { target: 'iqn.2026-11.io/x' }],
    ['initiator', { initiator: '' }],
    ['name', { name: '' }],
    ['luns', { luns: [] }],
    ['luns[0]', { luns: ['1'] }],
    ['luns[1]', { luns: [0, 2 ** 24] }],
    ['chap', { chap: SECRET }],
    ['chap', { chap: null }],
    ['chap.user', { chap: { secret: SECRET } }],
    ['chap.secret', { chap: { user: 'alice' } }],
    ['chap.secret', { chap: { user: 'alice', secret: '' } }],
    ['chap.secret', { chap: { user: 'alice', secret: SECRET.repeat(20) } }],
    ['chap.secret', { chap: { user: 'alice', secret: [SECRET] } }],
    ['chap.password', { chap: { ...chap, password: SECRET } }],
    ['chap.algorithms', { chap: { ...chap, algorithms: [] } }],
    ['chap.algorithms', { chap: { ...chap, algorithms: ['md4'] } }],
    ['chap.target', { chap: { ...chap, target: SECRET } }],
    ['chap.target.secret', { chap: { ...chap, target: {} } }],
    ['chap.target.secret', { chap: { ...chap, target: { secret: SECRET } } }],
    ['chap.target.user', { chap: { ...chap, target: { secret: 'another one', user: '' } } }],
    ['discoveryChap.secret', { discoveryChap: { user: 'alice', secret: 5 } }],
    ['headerDigest', { headerDigest: 'CRC32C' }],
    ['dataDigest', { dataDigest: 1 }],
    ['immediateData', { immediateData: 'yes' }],
    ['initialR2T', { initialR2T: 0 }],
    ['firstBurstLength', { firstBurstLength: 511 }],
    ['firstBurstLength', { firstBurstLength: 8192, maxBurstLength: 4096 }],
    ['maxBurstLength', { maxBurstLength: 2 ** 24 }],
    ['maxRecvDataSegmentLength', { maxRecvDataSegmentLength: 0 }],
    ['maxOutstandingR2T', { maxOutstandingR2T: 65_536 }],
    ['queueDepth', { queueDepth: 0 }],
    ['queueDepth', { queueDepth: 1.5 }],
    ['maxTransfer', { maxTransfer: 512 }],
    ['keepAliveInterval', { keepAliveInterval: -1 }],
    ['keepAliveTimeout', { keepAliveTimeout: 0 }],
    ['loginTimeout', { loginTimeout: Number.NaN }],
    ['taskTimeout', { taskTimeout: '5' }],
    ['pollInterval', { pollInterval: 0 }],
    ['localAddress', { localAddress: 'eth0' }],
    ['sessionPerLun', { sessionPerLun: 'true' }],
    ['toldPortals', { toldPortals: 'no' }],
    ['isid', { isid: 'fixed' }],
    ['fence', { fence: 'none' }],
  ])('%s in %j', (field, more) => {
    const error = failure({ ...good, ...more })
    expect(error).toBeInstanceOf(TypeError)
    expect(error.message).toContain(`options.${field}`)
    expect(inspect(error)).not.toContain(SECRET)
  })

  test.each([undefined, null, 'host', 5])('%s for all of them', (options) => {
    expect(failure(options)).toBeInstanceOf(TypeError)
  })
})

describe('the name of a host that was given none', () => {
  const ID = '0123456789abcdef0123456789abcdef'
  const nameOf = (...texts: string[]) => machineInitiator((file) => texts[file === '/etc/machine-id' ? 0 : 1] ?? '')

  test('is made of its machine id, which it does not tell, and stays', () => {
    const name = nameOf(`${ID}\n`)
    expect(name).toMatch(/^iqn\.2026-11\.io\.blockbraid:[0-9a-f]{16}$/)
    expect(nameOf(ID)).toBe(name)
    expect(nameOf('', ID)).toBe(name)
    expect(nameOf(ID.replace('0', '1'))).not.toBe(name)
    for (let at = 0; at + 4 <= ID.length; at++) expect(name).not.toContain(ID.slice(at, at + 4))
    expect(iscsi({ ...good, initiator: name! })).toBeDefined()
  })

  test.each(['', 'uninitialized', '0'.repeat(32), 'x'.repeat(32)])('is not made of %j', (text) => {
    expect(nameOf(text, text)).toBeUndefined()
  })

  test('is an iSCSI name whatever it ends with', () => {
    expect(initiatorOf('My Host_1')).toBe('iqn.2026-11.io.blockbraid:my-host-1')
    expect(initiatorOf('')).toBe('iqn.2026-11.io.blockbraid:host')
  })
})

test('a target shows its options to nobody', () => {
  const target = iscsi({ ...good, chap: { ...chap, target: { secret: 'another secret' } } })
  expect(inspect(target, { depth: 10, showHidden: true })).not.toMatch(/geheim|another secret/)
  expect(JSON.stringify(target)).not.toMatch(/geheim|another secret/)
})

describe('an address', () => {
  const parse = (text: string) => fromUrl(new URL(text))

  test.each<[text: string, options: Partial<IscsiOptions>]>([
    ['iscsi://host', { portals: ['host'] }],
    ['iscsi://host/', { portals: ['host'] }],
    ['iscsi://host:3261/iqn.2026-11.io:a', { portals: ['host:3261'], target: 'iqn.2026-11.io:a' }],
    ['iscsi://[::1]:3261/iqn.2026-11.io:a/5', { portals: ['[::1]:3261'], target: 'iqn.2026-11.io:a', luns: [5] }],
    [`iscsi://alice%${SECRET}@host`, { chap }],
    [`iscsi://alice:${SECRET}@host`, { chap }],
    ['iscsi://alice%a%40b@host', { chap: { user: 'alice', secret: 'a@b' } }],
  ])('%s', (text, options) => {
    expect(parse(text)).toMatchObject({ isid: 'random', ...options })
    iscsi(parse(text))
  })

  test.each([
    'http://host/',
    'iscsi://host/a/1/2',
    'iscsi://host/iqn.2026-11.io:a/x',
    `iscsi://alice%${SECRET}@host/iqn.2026-11.io:a/-1`,
    `iscsi://alice%${SECRET}@host/iqn.2026-11.io:a/1/2`,
    `iscsi://alice%${SECRET}@host/%zz`,
    `iscsi://alice%${SECRET}@host/disk`,
    `iscsi://alice%${SECRET}@ho%20st/`,
  ])('%s is wrong', (text) => {
    let error: unknown
    try {
      iscsi(parse(text))
    } catch (caught) {
      error = caught
    }
    expect(error).toBeInstanceOf(TypeError)
    expect((error as Error).message).not.toContain(SECRET)
  })

  test('without a secret takes it from the environment, or says so', () => {
    const { ISCSI_CHAP_SECRET: before } = process.env
    try {
      delete process.env['ISCSI_CHAP_SECRET']
      expect(() => parse('iscsi://alice@host')).toThrow(/ISCSI_CHAP_SECRET/)
      process.env['ISCSI_CHAP_SECRET'] = SECRET
      expect(parse('iscsi://alice@host')).toMatchObject({ chap })
    } finally {
      if (before === undefined) delete process.env['ISCSI_CHAP_SECRET']
      else process.env['ISCSI_CHAP_SECRET'] = before
    }
  })
})
