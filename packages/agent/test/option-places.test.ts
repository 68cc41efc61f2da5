import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { systemHost } from '@blockbraid/core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadConfig, parseConfig } from '../src/config/load.ts'
import { formatDuration } from '../src/config/units.ts'
import { loadPolicy } from '../src/plugins/plugins.ts'

const config = (line: string): string => `targets:
  - use: memory
devices:
  - volume: "*"
    transport: { use: nbd, port: 0 }
    ${line}
`
let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bb-places-'))
})
afterAll(() => rm(folder, { recursive: true }))

const told = async (line: string): Promise<string> => {
  const file = join(folder, 't.yaml')
  await writeFile(file, config(line))
  return loadConfig(file, {}).then(
    () => 'accepted',
    (error: Error) => error.message,
  )
}

describe('times that no pair can have', () => {
  it.each([
    ['multipath: { keepAliveTimeout: 0 }', '36: devices[0].multipath.keepAliveTimeout is 0: it must be 1ms to 596h'],
    [
      'multipath: { noPathTimeout: 1000h }',
      '33: devices[0].multipath.noPathTimeout is "1000h": it must be 0ms to 596h',
    ],
    [
      'multipath: { noPathTimeout: 1e12 }',
      '33: devices[0].multipath.noPathTimeout is 1000000000000: it must be 0ms to',
    ],
    [
      'multipath: { flapping: { probation: 10m, probationMax: 1m } }',
      '60: devices[0].multipath.flapping.probationMax is "1m": it must be 10m to 596h',
    ],
    ['multipath: { slow: { time: 50ms } }', '32: devices[0].multipath.slow.time is "50ms": it must be 100ms to 596h'],
    [
      'multipath: { slow: { factor: 2e6 } }',
      '34: devices[0].multipath.slow.factor is 2000000: it must be 1.5 to 1000000',
    ],
    [
      'multipath: { failback: 1000h }',
      '28: devices[0].multipath.failback is "1000h": it must be immediate, manual, or 0',
    ],
    ['multipath: { flapping: true }', '28: devices[0].multipath.flapping is true: it must be a mapping, or false'],
    ['multipath: { slow: true }', '24: devices[0].multipath.slow is true: it must be a mapping, or false'],
  ])('%s is told with its place and a unit', async (line, words) => {
    expect(await told(line)).toContain(`t.yaml:6:${words}`)
  })

  it.each([
    [0, '0ms'],
    [1, '1ms'],
    [1500, '1500ms'],
    [2000, '2s'],
    [600_000, '10m'],
    [7_200_000, '2h'],
    [2 ** 31 - 1, '596h'],
  ])('%d ms are %s', (milliseconds, text) => {
    expect(formatDuration(milliseconds)).toBe(text)
  })
})

describe("a policy's own options", () => {
  beforeAll(async () => {
    const properties = `{
      bias: { type: 'integer' }, list: { type: 'array' }, map: { type: 'object' }, even: { type: 'boolean' },
      mode: { enum: ['a', 'b', 3] }, only: { const: 'x' }, some: { type: ['string', 'array'] },
      any: { anyOf: [{ type: 'string' }, { type: 'array' }] }, near: { properties: { zone: { type: 'number' } } },
    }`
    await writeFile(
      join(folder, 'own.mjs'),
      `export const options = { type: 'object', additionalProperties: false, properties: ${properties} }
export default () => ({ name: 'own', update() {}, select() {} })`,
    )
    await writeFile(
      join(folder, 'throws.mjs'),
      "export default () => { throw new TypeError('bias is 3; it must be 4') }",
    )
  })

  const refusal = async (options: string, use = 'own') => {
    const { devices } = parseConfig(config(`policy: { use: ./${use}.mjs, ${options} }`), 't.yaml', {})
    const [, said] = await loadPolicy(devices[0]!.policy!, folder, systemHost).then(
      () => ['', 'accepted'],
      (error: Error) => ['', error.message],
    )
    return said
  }

  it.each([
    ['bias: x', 'bias is "x"; it must be a whole number'],
    ['bais: 1', 'bais is not a known option: did you mean bias?'],
    ['list: 5', 'list is 5; it must be a list'],
    ['map: 5', 'map is 5; it must be a mapping'],
    ['even: 5', 'even is 5; it must be true or false'],
    ['mode: c', 'mode is "c"; it must be equal to one of the allowed values: a, b, 3'],
    ['only: c', 'only is "c"; it must be x'],
    ['some: 5', 'some is 5; it must be a text or a list'],
    ['any: 5', 'any is 5; it must be a text or a list'],
    ['near: { zone: c }', 'near.zone is "c"; it must be a number'],
  ])('%s is told at the option', async (option, words) => {
    expect(await refusal(option)).toBe(`t.yaml:6:31: policy ./own.mjs: ${words}`)
  })

  it('are told at the option, too, by a factory that names it', async () => {
    expect(await refusal('bias: 3', 'throws')).toContain('t.yaml:6:34: policy ./throws.mjs: bias is 3; it must be 4')
  })
})
