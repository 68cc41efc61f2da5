import type { BlockDevicePair, HostAgent } from '@blockbraid/core'
import { createHostAgent } from '@blockbraid/core'
import { queueDepth } from '@blockbraid/policy-queue-depth'
import { roundRobin } from '@blockbraid/policy-round-robin'
import type { MemoryArray } from '@blockbraid/target-memory'
import { createMemoryArray, memory } from '@blockbraid/target-memory'
import { nbd } from '@blockbraid/transport-nbd'
import { expect, it } from 'vitest'
import { openFolder, quick } from './support/bed.ts'
import { fio, fioJob, startFio, verifiedMix } from './support/fio.ts'
import { qemuIo } from './support/qemu-io.ts'
import { succeed } from './support/tools.ts'

const patient = { timeout: 20_000 }

/** Pairs every volume that `agent` finds, each under its number. */
async function pairAll(agent: HostAgent, socket: string): Promise<BlockDevicePair[]> {
  await agent.rescan()
  const transport = nbd({ socket })
  const volumes = agent.devices().filter(({ kind }) => kind === 'multipath')
  const pairs: BlockDevicePair[] = []
  for (const [number, { id }] of volumes.entries()) {
    pairs.push(
      await agent.pair({ name: `vol-${number}`, device: id, selector: queueDepth, transport, multipath: quick }),
    )
  }
  return pairs
}

const hostOn = (array: MemoryArray, initiator: string): HostAgent =>
  createHostAgent({ targets: [memory({ array, initiator })] })

it('mission rows 19 and 22: two hosts on one array, registered once a path, do not disturb each other', async () => {
  await using folder = await openFolder()
  const array = createMemoryArray({ volumes: [{ size: '32MiB' }], ports: 4, latency: { base: 100, jitter: 100 } })
  await using one = hostOn(array, 'iqn.2026-11.test:one')
  await using two = hostOn(array, 'iqn.2026-11.test:two')
  const [mine] = await pairAll(one, folder.at('one.sock'))
  const [other] = await pairAll(two, folder.at('two.sock'))
  const load = [
    startFio(mine!.kernel.node, folder.path, [...verifiedMix, '--size=16M', '--time_based', '--runtime=3']),
    startFio(other!.kernel.node, folder.path, [
      ...verifiedMix,
      '--size=16M',
      '--offset=16M',
      '--time_based',
      '--runtime=3',
    ]),
  ]
  // One host loses its paths in turn; the other keeps all of its own.
  const failures: string[] = []
  other!.events.on('path', ({ id, state }) => failures.push(`${id} ${state}`))
  for (const { id } of mine!.paths) {
    await mine!.failPath(id)
    mine!.restorePath(id)
    await expect.poll(() => mine!.paths.find((path) => path.id === id)?.state, patient).toBe('up')
  }
  for (const { ended } of load) expect(fioJob(await ended).writes).toBeGreaterThan(100)
  expect(failures).toEqual([])
  expect(other!.paths.map(({ errors }) => errors)).toEqual([0, 0, 0, 0])

  // They see each other's data.
  await qemuIo(mine!.kernel.node, 'write -f -P 0x42 0 64k')
  await qemuIo(other!.kernel.node, 'read -P 0x42 0 64k')

  const registered = array.registrations.map(({ initiator, port }) => `${initiator} ${port}`)
  const wanted = ['one', 'two'].flatMap((host) => [0, 1, 2, 3].map((port) => `iqn.2026-11.test:${host} ${port}`))
  expect(registered.sort()).toEqual(wanted)

  await one.close()
  await qemuIo(other!.kernel.node, 'read -P 0x42 0 64k')
})

it('mission row 19: a port that comes back, and a volume mapped anew, are not registered again', async () => {
  await using folder = await openFolder()
  const array = createMemoryArray({ volumes: [{ size: '8MiB' }], ports: 2 })
  await using agent = hostOn(array, 'iqn.2026-11.test:one')
  const [pair] = await pairAll(agent, folder.at('nbd.sock'))
  const up = (): number => pair!.paths.filter(({ state }) => state === 'up').length
  await expect.poll(up, patient).toBe(2)
  for (let round = 0; round < 3; round++) {
    array.portDown(1)
    await expect.poll(up, patient).toBe(1)
    array.portUp(1)
    await expect.poll(up, patient).toBe(2)
  }
  expect(array.registrations.map(({ port }) => port).sort()).toEqual([0, 1])
})

it('mission row 24: two arrays in one agent, a fast one and a slow one, side by side', async () => {
  await using folder = await openFolder()
  const fast = createMemoryArray({ name: 'fast', volumes: [{ size: '16MiB' }], ports: 2 })
  const slow = createMemoryArray({ name: 'slow', volumes: [{ size: '16MiB' }], ports: 4, latency: { base: 2000 } })
  await using agent = createHostAgent({ targets: [memory({ array: fast }), memory({ array: slow })] })
  const pairs = await pairAll(agent, folder.at('nbd.sock'))
  expect(pairs.map(({ paths }) => paths.length)).toEqual([2, 4])
  expect(await succeed('nbdinfo', ['--list', pairs[0]!.kernel.node])).toMatch(/"vol-0".*"vol-1"/s)
  await Promise.all(pairs.map((pair) => fio(pair.kernel.node, folder.path, [...verifiedMix, '--size=4M'])))
  const [quickOne, slowOne] = pairs as [BlockDevicePair, BlockDevicePair]
  expect(Math.min(...slowOne.paths.map(({ latency }) => latency))).toBeGreaterThan(1900)
  expect(slowOne.paths.reduce((sum, { ios }) => sum + ios, 0)).toBeGreaterThan(100)

  // What goes down in one array is no concern of the other.
  for (const { number } of slow.ports) slow.portDown(number)
  await expect.poll(() => slowOne.state, patient).toBe('stalled')
  await qemuIo(quickOne.kernel.node, 'write -P 0x42 0 1M', 'flush', 'read -P 0x42 0 1M')
  expect(quickOne.state).toBe('active')
  for (const { number } of slow.ports) slow.portUp(number)
  await expect.poll(() => slowOne.state, patient).toBe('active')
})

it('many agents in one process, on arrays of their own', async () => {
  await using folder = await openFolder()
  const agents = await Promise.all(
    Array.from({ length: 4 }, async (_none, n) => {
      const agent = createHostAgent({ targets: [memory({ volumes: [{ size: '4MiB' }], ports: 2 })] })
      await agent.rescan()
      const device = agent.devices().at(-1)!.id
      const transport = nbd({ socket: folder.at(`${n}.sock`) })
      return { agent, pair: await agent.pair({ name: 'disk', device, selector: () => roundRobin(), transport }) }
    }),
  )
  await Promise.all(agents.map(({ pair }, n) => qemuIo(pair.kernel.node, `write -P ${n + 1} 0 4M`)))
  await Promise.all(agents.map(({ pair }, n) => qemuIo(pair.kernel.node, `read -P ${n + 1} 0 4M`)))
  await Promise.all(agents.map(({ agent }) => agent.close()))
})
