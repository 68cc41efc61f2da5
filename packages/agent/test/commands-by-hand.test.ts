import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { callControl } from '../src/control/client.ts'
import type { Listing } from '../src/snapshot/listing.ts'
import type { InProcess } from './fixtures/terminal.ts'
import { begin, run } from './fixtures/terminal.ts'

const LONG = { timeout: 15_000 }
let folder: string
let control: string
let agent: InProcess

const shows = `export default (options) => {
  let paths = []
  return { name: JSON.stringify(options), update(p) { paths = p }, select: () => paths[0] }
}
`

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bb-policy-'))
  control = join(folder, 'control.sock')
  await writeFile(join(folder, 'shows.mjs'), shows)
  const list = "list: { type: 'array', items: { type: 'string' } }, map: { type: 'object' }"
  await writeFile(
    join(folder, 'lists.mjs'),
    `export const options = { type: 'object', additionalProperties: false, properties: { ${list} } }\n${shows}`,
  )
  await writeFile(
    join(folder, 'bb.yaml'),
    `control: ${control}
targets:
  - { use: memory, volumes: [{ size: 1MiB }], ports: 2 }
devices:
  - { volume: "*", name: vol-0, policy: round-robin, transport: { use: nbd, socket: ${folder}/{name}.sock } }
`,
  )
  agent = begin(folder, ['up', 'bb.yaml', '--json'])
  await Promise.race([agent.ended, vi.waitFor(() => expect(agent.output.out).toContain('}\n'), LONG)])
})
afterAll(async () => {
  agent.interrupt()
  await agent.ended
  await rm(folder, { recursive: true })
})

const policy = (use: string, ...options: string[]) =>
  run(folder, 'policy', 'vol-0', use, ...options.flatMap((one) => ['--option', one]), '--control', control)
const shown = async () => {
  const { pairs } = (await callControl(control, { op: 'ls' })) as Listing
  return JSON.parse(pairs[0]!.policy) as unknown
}

describe('`path restore`', () => {
  it('says of a path that is up that it is', async () => {
    const path = (...words: string[]) => run(folder, 'path', ...words, '--control', control)
    const id = 'memory:array0/port1/lun0'
    expect(await path('restore', 'vol-0', 'port1')).toMatchObject({ code: 0, out: `vol-0: ${id} is up already\n` })
    expect(await path('fail', 'vol-0', 'port1')).toMatchObject({ code: 0 })
    expect(await path('restore', 'vol-0', 'port1')).toMatchObject({ code: 0, out: `vol-0: ${id} connects again\n` })
  })
})

describe('the options of `policy`', () => {
  it('make a list of a key that is given again, and lists and mappings of what is written as such', async () => {
    const given = ['list=a', 'list=b', 'map={"a": [1]}']
    expect(await policy('./lists.mjs', ...given)).toMatchObject({ code: 0, err: '' })
    expect(await shown()).toEqual({ list: ['a', 'b'], map: { a: [1] } })
    expect(await policy('./lists.mjs', 'list=["a","b"]')).toMatchObject({ code: 0, err: '' })
    expect(await shown()).toEqual({ list: ['a', 'b'] })
    expect(await policy('./shows.mjs', 'list=[a, b]', 'at=[fd00::1]:3260')).toMatchObject({ code: 0, err: '' })
    expect(await shown()).toEqual({ list: ['a', 'b'], at: '[fd00::1]:3260' })
  })

  it.each([
    ['failover', 'prefer=[a', 'prefer is "[a", which is no whole list: write ["a", "b"]'],
    ['@blockbraid/policy-failover', 'prefer=["a"', 'prefer is "[\\"a\\"", which is no whole list: write ["a", "b"]'],
    ['failover', 'prefer={"a":1}', 'prefer is a mapping: it must be the id, the address or the target of a path, or a'],
    ['./lists.mjs', 'list=[a', 'list is "[a", which is no whole list: write ["a", "b"]'],
    ['./lists.mjs', 'map={a', 'map is "{a", which is no whole mapping: write {"a": 1}'],
  ])('%s: %s is refused in words', async (use, option, words) => {
    const { code, err } = await policy(use, option)
    expect(code).toBe(1)
    expect(err).toContain(`: ${words}`)
  })

  it('may name an address of IPv6', async () => {
    expect(await policy('failover', 'prefer=[fd00::1]:3260')).toMatchObject({ code: 0, err: '' })
  })

  it.each([
    ['latency', 'use=stream', 'use is not an option of a policy: the policy is named before its options'],
    ['latency', 'x=1', 'x is not a known option: it has none'],
    ['latency', 'usr=1', 'usr is not a known option: it has none'],
    ['round-robin', 'x=1', 'x is not a known option: known here: minIos'],
    ['./shows.mjs', 'use=stream', 'use is not an option of a policy: the policy is named before its options'],
  ])('of %s: %s is none', async (use, option, words) => {
    const { code, out, err } = await policy(use, option)
    expect([code, out, err.endsWith(`${use.replace('./', '/')}: ${words}\n`)]).toEqual([1, '', true])
  })
})
