import assert from 'node:assert/strict'
import { test } from 'node:test'
import { until } from '../guest/wait.ts'
import { agentsOf, nodesOf, takenOver } from './agents.ts'
import { startArray } from './array.ts'
import { nodesInUse } from './bed.ts'
import { startJournal } from './journal.ts'
import { loadOn } from './load.ts'
import { mount, tool } from './tools.ts'

const KILLS = process.env['BLOCKBRAID_SHORT'] === undefined ? 10 : 2

test(`pain: SIGKILL of the agent under fio verify ${KILLS} times in a row: a pause, no error, no lost write`, {
  timeout: 900_000,
}, async () => {
  await using array = await startArray('64MiB', '16MiB')
  await using agents = agentsOf(array)
  let agent = await agents.start()
  const [disk, raw] = nodesOf(agent)
  await tool('mkfs.ext4', '-q', disk)
  {
    await using mounted = await mount(disk)
    const journal = await startJournal(raw, array, 1)
    const load = loadOn(mounted.folder)
    for (let kill = 0; kill < KILLS; kill++) {
      const before = journal.acknowledged
      await until('writes are acknowledged', () => journal.acknowledged > before + 8)
      await agent.end('SIGKILL')
      agent = await agents.start()
      assert.deepEqual(takenOver(agent), [disk, raw], agent.said)
    }
    const before = journal.acknowledged
    await until('writes go on', () => journal.acknowledged > before + 8)
    await journal.stop()
    await load.stop()
  }
  await tool('e2fsck', '-fn', disk)
  await agent.end('SIGTERM')
  assert.deepEqual(nodesInUse(), [])
})
