import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { IscsiArray } from '@blockbraid/array-iscsi'
import { iscsiArrayOf } from '@blockbraid/array-iscsi'
import { memory } from '@blockbraid/target-memory'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { run } from './fixtures/terminal.ts'

let folder: string
let array: IscsiArray
const inner = memory({ volumes: [{ size: '1MiB' }], ports: 2 })

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bb-discover-'))
  array = await iscsiArrayOf(inner, { name: 'iqn.2026-11.io.blockbraid:array' })
})
afterAll(async () => {
  await array.close()
  await inner.close()
  await rm(folder, { recursive: true })
})

const at = (rest: string): string => `iscsi://${array.portals[0]!.address}/${rest}`

describe('discover of what is not there ends with 1, and says why', () => {
  it.each([
    ['a target in other letters', 'iqn.2026-11.io.blockbraid:ARRAY', 'is told of by no portal: did you mean'],
    [
      'a logical unit that is not mapped',
      'iqn.2026-11.io.blockbraid:array/7',
      'LUN 7: is not mapped to this initiator',
    ],
  ])('%s', async (_what, rest, words) => {
    const { code, err } = await run(folder, 'discover', at(rest))
    expect(code).toBe(1)
    expect(err).toContain(words)
    expect(err.trimEnd().split('\n')).toHaveLength(1)
  })
})

it('discover says in one line what is left out, and ends with 0 where something was found', async () => {
  await array.portals[1]!.down()
  const { code, out, err } = await run(folder, 'discover', at(''))
  await array.portals[1]!.up()
  expect(code).toBe(0)
  expect(err.trimEnd().split('\n')).toEqual([
    expect.stringContaining(`blockbraid: ${array.portals[1]!.address}: the connection was refused`),
  ])
  expect(out).toContain('/lun0')
  // What nobody has seen is no volume of discovery.
  expect(out).not.toContain(array.portals[1]!.address)
})
