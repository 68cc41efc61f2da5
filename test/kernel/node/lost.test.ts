// A node that a program of others takes away from under an agent.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { until } from '../guest/wait.ts'
import { Foreign, sendForeign } from '../ublk/bed.ts'
import { agentsOf, control } from './agents.ts'
import { startArrayOf } from './array.ts'
import { kind, nodesInUse } from './bed.ts'
import { readDirect, tool, writeDirect } from './tools.ts'

/** Takes a node away as an administrator may do by mistake. */
async function takeAway(node: string): Promise<void> {
  if (kind === 'nbd') await tool('nbd-client', '-d', node)
  else await sendForeign(Foreign.Delete, Number(node.slice('/dev/ublkb'.length)))
}

/** What `blockbraid ls` tells of a pair. */
interface Listed {
  readonly name: string
  readonly state: string
  readonly node: string
}

test('a node that another program took away is told as lost, made again, and holds the same data', async () => {
  await using array = await startArrayOf({ volumes: [{ size: '16MiB' }], ports: 1 })
  await using agents = agentsOf(array)
  const agent = await agents.up()
  const list = async (): Promise<Listed[]> =>
    (JSON.parse(await agents.run('ls', '--json', '--control', control)) as { pairs: Listed[] }).pairs
  const first = agent.pairs[0]!.node
  assert.equal(await writeDirect(first, 4096, 4096), 'done')
  await takeAway(first)
  await until('it is told', () => /vol-0: lost: /.test(agent.said))
  await until('it is made again', async () => {
    const [pair] = await list()
    return pair?.state === 'active' && nodesInUse().length === 1
  })
  const [{ node } = { node: '' }] = await list()
  assert.equal(await readDirect(node, 4096, 4096), 'done')
  assert.equal(agent.said.match(/vol-0: lost: /g)?.length, 1, agent.said)
  assert.equal(await agent.end('SIGTERM'), 0, agent.said)
  assert.deepEqual(nodesInUse(), [])
})
