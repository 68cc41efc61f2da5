import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { test } from 'node:test'
import { until, within } from '../guest/wait.ts'
import { agentsOf, control, nodesOf, takenOver } from './agents.ts'
import { startArray } from './array.ts'
import { createTransport, nodesInUse, openBed } from './bed.ts'
import { startJournal } from './journal.ts'
import { loadOn } from './load.ts'
import { mount, readDirect, start, tool } from './tools.ts'

// Many starts of agents, on an emulated machine.
const long = { timeout: 900_000 }

test(
  'up --take-over under load: the old agent ends, the new one has the nodes, applications see a pause',
  long,
  async () => {
    await using array = await startArray('64MiB', '16MiB')
    await using agents = agentsOf(array)
    let agent = await agents.up()
    const [disk, raw] = nodesOf(agent)
    await tool('mkfs.ext4', '-q', disk)
    await using mounted = await mount(disk)
    const journal = await startJournal(raw, array, 1)
    const load = loadOn(mounted.folder)
    for (let upgrade = 0; upgrade < 2; upgrade++) {
      const before = journal.acknowledged
      await until('writes are acknowledged', () => journal.acknowledged > before + 8)
      const old = agent
      agent = await agents.up('--take-over')
      assert.equal(await within('the old agent ends', old.ended), 0, old.said)
      assert.deepEqual(takenOver(agent), [disk, raw], agent.said)
    }
    await journal.stop()
    await load.stop()
  },
)

test('an agent that is told to end leaves the node that is mounted to the next one', async () => {
  await using array = await startArray('64MiB')
  await using agents = agentsOf(array)
  const first = await agents.up()
  const [disk] = nodesOf(first)
  await tool('mkfs.ext4', '-q', disk)
  await using mounted = await mount(disk)
  await tool('sh', '-c', `echo kept >${mounted.folder}/file && sync -f ${mounted.folder}`)
  await first.end('SIGTERM')
  assert.match(first.said, new RegExp(mounted.folder))
  const reading = start('sh', ['-c', `echo 3 >/proc/sys/vm/drop_caches; cat ${mounted.folder}/file`])
  const second = await agents.up()
  assert.deepEqual(takenOver(second), [disk])
  assert.equal(await reading.done, 'kept\n')
})

test('nobody takes over within the limit: what waits ends with EIO, and the node goes', async () => {
  await using array = await startArray('64MiB')
  await using agents = agentsOf(array, { transport: { takeOverTimeout: 3000 } })
  const agent = await agents.start()
  const [disk] = nodesOf(agent)
  await tool('mkfs.ext4', '-q', disk)
  const mounted = await mount(disk)
  await agent.end('SIGKILL')
  assert.equal(await readDirect(disk, 4096, 4096), 'Input/output error')
  const write = `dd if=/dev/zero of=${mounted.folder}/file bs=64k count=4 conv=fsync`
  assert.notEqual((await start('sh', ['-c', write]).ended).code, 0)
  await tool('umount', mounted.folder)
  await until('the node goes', () => nodesInUse().length === 0)
  // The next agent has a node again.
  const next = await agents.start()
  assert.deepEqual(takenOver(next), [])
  await tool('e2fsck', '-fy', nodesOf(next)[0]).catch((error: Error) => assert.match(error.message, /exit 1\n/))
})

test('down --force gets rid of a node that nobody serves, and of what waits in it', async () => {
  await using array = await startArray('64MiB')
  await using agents = agentsOf(array)
  const agent = await agents.start()
  const [disk] = nodesOf(agent)
  // Whoever opens a node first waits for its partitions, and has no descriptor until then.
  assert.equal(await readDirect(disk, 0, 4096), 'done')
  await agent.end('SIGKILL')
  const waiting = readDirect(disk, 4096, 4096)
  await until('it has users', async () => {
    const { nodes } = JSON.parse(await agents.run('nodes', '--json')) as {
      nodes: { served: boolean; users: string[] }[]
    }
    assert.deepEqual(
      nodes.map(({ served }) => served),
      [false],
    )
    return nodes[0]!.users.length > 0
  })
  await agents.run('down', 'vol-0', '--force', '--control', control)
  assert.equal(await waiting, 'Input/output error')
  assert.deepEqual(nodesInUse(), [])
})

test('down refuses while the node is mounted and says so; down --force ends it at a living agent', async () => {
  await using array = await startArray('64MiB')
  await using agents = agentsOf(array)
  const agent = await agents.up()
  const [disk] = nodesOf(agent)
  await tool('mkfs.ext4', '-q', disk)
  const mounted = await mount(disk)
  await assert.rejects(agents.run('down', 'vol-0', '--control', control), new RegExp(mounted.folder))
  assert.equal(await readDirect(disk, 0, 4096), 'done')
  await agents.run('down', 'vol-0', '--force', '--control', control)
  assert.notEqual(
    (await start('sh', ['-c', `touch ${mounted.folder}/file && sync -f ${mounted.folder}`]).ended).code,
    0,
  )
  await tool('umount', mounted.folder)
  assert.deepEqual(nodesInUse(), [])
})

test('a node whose volume is gone ends with errors, and no task hangs: with its agent, and with the next', async () => {
  await using array = await startArray('64MiB')
  const limits = { transport: { takeOverTimeout: 4000 }, multipath: { noPathTimeout: 1000 } }
  await using agents = agentsOf(array, limits)
  const agent = await agents.start()
  const [disk] = nodesOf(agent)
  await tool('mkfs.ext4', '-q', disk)
  const mounted = await mount(disk)
  await array.unmap(0)
  assert.equal(await readDirect(disk, 4096, 4096), 'Input/output error')
  await agent.end('SIGKILL')
  const waiting = readDirect(disk, 8192, 4096)
  // It finds no volume to serve the node with.
  const next = await agents.start()
  assert.deepEqual(next.pairs, [])
  assert.equal(await waiting, 'Input/output error')
  await tool('umount', mounted.folder)
  await until('the node goes', () => nodesInUse().length === 0)
})

test('pain: a node is never taken over for another volume of the same name', async () => {
  await using array = await startArray('64MiB', '32MiB')
  const [mine = '', other = ''] = array.volumes
  const transport = { takeOverTimeout: 8000 }
  await using agents = agentsOf(array, { transport, names: { [mine]: 'disk' } })
  const agent = await agents.start()
  const [node] = nodesOf(agent)
  await agent.end('SIGKILL')
  const waiting = readDirect(node, 0, 4096)
  const others = agentsOf(array, { transport, names: { [other]: 'disk' } })
  const next = await others.start()
  assert.deepEqual(takenOver(next), [])
  assert.notEqual(nodesOf(next)[0], node)
  assert.equal(await waiting, 'Input/output error')
  await next.end('SIGTERM')
})

test('a hundred times attached and detached, four at once: no node, no file descriptor is left', async () => {
  const volumes = Array.from({ length: 5 }, () => ({ size: '16MiB' }))
  await using bed = await openBed({ array: { volumes } })
  const cycle = async (round: number): Promise<void> => {
    const pairs = await Promise.all(
      bed.array.volumes.slice(1).map(({ id }, number) => bed.pairOf(id, `round-${round}-${number}`)),
    )
    if (round % 5 === 0) for (const { kernel } of pairs) assert.equal(await readDirect(kernel.node, 0, 4096), 'done')
    await Promise.all(pairs.map((pair) => pair.close()))
  }
  const descriptors = (): number => readdirSync('/proc/self/fd').length
  await cycle(0)
  const before = descriptors()
  for (let round = 1; round < 25; round++) await cycle(round)
  assert.deepEqual(nodesInUse(), [bed.name])
  await until('no descriptor is left', () => descriptors() <= before)
})

test('a second host process is refused the node that this one serves', async () => {
  await using bed = await openBed()
  const transport = await createTransport()
  const volume = bed.array.volumes[0]!.id
  await using device = await bed.agent.open(volume)
  await assert.rejects(transport.attach(device, { name: 'disk', volume }), { code: 'IN_USE' })
  assert.equal(await readDirect(bed.node, 0, 4096), 'done')
  await transport.close()
})
