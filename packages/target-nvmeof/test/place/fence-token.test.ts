import { expect, test } from 'vitest'
import type { LeftController } from '../../src/place/fence-token.ts'
import { fenceToken, parseFenceToken } from '../../src/place/fence-token.ts'
import { portalOf } from '../../src/place/portal.ts'

const left: LeftController = {
  place: {
    hostNqn: 'nqn.2014-08.org.nvmexpress:uuid:11111111-2222-3333-4444-555555555555',
    hostId: '11111111-2222-3333-4444-555555555555',
    subNqn: 'nqn.2026-11.io.blockbraid:array',
    portal: portalOf('fe80::1%eth0', 4420),
  },
  nsid: 1,
  id: 0xffff,
  instance: 255,
  instanceRandom: '0123456789abcdef',
  model: 'A "model" of ours',
  serial: '',
  keepAliveTimeout: 15_000,
  trafficBased: true,
  quiesceTime: 0,
  endsLate: true,
}

test('a token is read as it was written, and is stable text', () => {
  const token = fenceToken(left)
  expect(parseFenceToken(token)).toEqual(left)
  expect(fenceToken(parseFenceToken(token)!)).toBe(token)
  expect(token.startsWith('nvme-tcp:{"version":1,')).toBe(true)
})

/** The token with one field replaced; undefined takes it out. */
const bent = (field: string, value: unknown): string => {
  const fields = JSON.parse(fenceToken(left).slice('nvme-tcp:'.length))
  expect(fields).toHaveProperty(field)
  return `nvme-tcp:${JSON.stringify({ ...fields, [field]: value })}`
}

test.each<[string, unknown[]]>([
  ['version', [0, 2, '1', null]],
  ['hostNqn', ['', 'iqn.2026-11.io:x', 'nqn.', 'nqn.a b', 'nqn.a\nb', `nqn.${'é'.repeat(120)}`, 7, null]],
  ['subNqn', ['nqn.a\u0000', 'nqn.\u2028', ['nqn.a'], {}]],
  ['hostId', ['', '1111', 'g1111111-2222-3333-4444-555555555555', 1]],
  ['portal', ['', '10.0.0.1:0', '10.0.0.1:99999', 'a b', '[::1', 4420]],
  ['nsid', [-1, 1.5, 2 ** 32, '1', null]],
  ['cntlid', [-1, 0x10000, 0.5, '5', Number.MAX_VALUE]],
  ['ciu', [256, -1, true]],
  ['cirn', ['', '0123456789abcde', '0123456789ABCDEF0', 'xxxxxxxxxxxxxxxx', 5]],
  ['model', [5, 'a\nb', 'x'.repeat(301)]],
  ['serial', [null, '\u001b[31m']],
  ['kato', [-1, 2 ** 32, '5000', 0.5]],
  ['tbkas', [0, 'false', null]],
  ['cqt', [0x10000, -1, null]],
  ['late', [1, 'true', null]],
])('a token with a wrong %s is none', (field, values) => {
  expect(parseFenceToken(bent(field, undefined))).toBeUndefined()
  for (const value of values) expect(parseFenceToken(bent(field, value)), String(value)).toBeUndefined()
})

test('nor is anything else', () => {
  const token = fenceToken(left)
  for (let length = 0; length < token.length; length++) expect(parseFenceToken(token.slice(0, length))).toBeUndefined()
  for (const other of ['nvme-tcp:', 'nvme-tcp:null', 'nvme-tcp:[]', 'nvme-tcp:7', `iscsi:${token.slice(9)}`]) {
    expect(parseFenceToken(other)).toBeUndefined()
  }
  expect(parseFenceToken(bent('model', 'x').replace('}', `,"more":"${'x'.repeat(5000)}"}`))).toBeUndefined()
  expect(parseFenceToken(`nvme-tcp:${'['.repeat(4000)}`)).toBeUndefined()
})
