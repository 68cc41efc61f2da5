import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { IscsiArray } from '@blockbraid/array-iscsi'
import { iscsiArrayOf } from '@blockbraid/array-iscsi'
import { nvmeArrayOf } from '@blockbraid/array-nvmeof'
import { memory } from '@blockbraid/target-memory'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { run } from './fixtures/terminal.ts'

const NQN = 'nqn.2026-11.io.blockbraid:array'
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

describe('discover of NVMe/TCP addresses', () => {
  it('lists the namespaces of a subsystem, and what discovery tells of', async () => {
    const nvme = await nvmeArrayOf(inner, { name: NQN })
    try {
      const [one, two] = nvme.ports.map(({ address }) => address)
      const idsAt = async (address: string): Promise<string[]> => {
        const { code, out, err } = await run(folder, 'discover', address, '--json')
        expect([code, err]).toEqual([0, ''])
        return JSON.parse(out).volumes[0].paths.map(({ id }: { id: string }) => id)
      }
      expect(await idsAt(`nvme-tcp://${one}/${NQN}`)).toEqual([`nvme-tcp:${NQN}/${one}/ns1`])
      expect(await idsAt(`nvme-tcp://${one}`)).toEqual([one, two].map((address) => `nvme-tcp:${NQN}/${address}/ns1`))
    } finally {
      await nvme.close()
    }
  })

  it('takes no secret in an address, and shows none', async () => {
    const { code, err } = await run(folder, 'discover', 'nvme-tcp://alice%hunter2@127.0.0.1:1/')
    expect(code).not.toBe(0)
    expect(err).not.toContain('hunter2')
  })
})
