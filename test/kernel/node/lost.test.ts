import assert from 'node:assert/strict'
import { test } from 'node:test'
import { until } from '../guest/wait.ts'
import { agentsOf, control, nodesOf } from './agents.ts'
import { startArray } from './array.ts'
import { createTransport } from './bed.ts'
import { readDirect } from './tools.ts'

interface Listed {
  readonly pairs: readonly { readonly name: string; readonly state: string; readonly node: string }[]
}

test('a node that another program removed is made again by itself, and by pair after a down', {
  timeout: 600_000,
}, async () => {
  await using array = await startArray('16MiB', '16MiB')
  await using agents = agentsOf(array)
  const agent = await agents.up()
  const [first] = nodesOf(agent)
  const list = async (): Promise<Listed['pairs']> =>
    (JSON.parse(await agents.run('ls', '--json', '--control', control)) as Listed).pairs
  const other = await createTransport()
  await other.removeNode!(first, { mode: 'force' })
  await other.close()
  await until('it is told', () => agent.said.includes('vol-0: lost: '))
  await until('it is made again', () => agent.said.includes('vol-0 is up: /dev/'))
  const pairs = await list()
  assert.deepEqual(pairs.map(({ name, state }) => [name, state]).sort(), [
    ['vol-0', 'active'],
    ['vol-1', 'active'],
  ])
  const { node } = pairs.find(({ name }) => name === 'vol-0')!
  assert.equal(await readDirect(node, 0, 4096), 'done')
  await agents.run('down', 'vol-0', '--control', control)
  assert.deepEqual(
    (await list()).map(({ name }) => name),
    ['vol-1'],
  )
  assert.match(await agents.run('pair', 'vol-0', '--control', control), /^vol-0 is up: \/dev\//)
  assert.equal(await readDirect((await list()).find(({ name }) => name === 'vol-0')!.node, 0, 4096), 'done')
})
