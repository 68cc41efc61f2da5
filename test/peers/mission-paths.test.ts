import { readFile } from 'node:fs/promises'
import type { PathSelector, PathView } from '@blockbraid/core'
import { createHostAgent } from '@blockbraid/core'
import { queueDepth } from '@blockbraid/policy-queue-depth'
import { roundRobin } from '@blockbraid/policy-round-robin'
import { createMemoryArray, memory } from '@blockbraid/target-memory'
import { nbd } from '@blockbraid/transport-nbd'
import { expect, it } from 'vitest'
import { openBed, openFolder } from './support/bed.ts'
import { fio, fioJob, startFio, verifiedMix } from './support/fio.ts'
import { qemuIo } from './support/qemu-io.ts'
import { succeed } from './support/tools.ts'

const patient = { timeout: 20_000 }

async function kernelModules(): Promise<string[]> {
  const text = await readFile('/proc/modules', 'utf8').catch(() => '')
  return text.split('\n').map((line) => line.split(' ')[0]!)
}

it('mission row 1: discovers every reachable path, at start and on demand, without a kernel initiator', async () => {
  const initiators = (names: string[]): string[] => names.filter((name) => /iscsi|^nvme_tcp|^nvme_fabrics/.test(name))
  const before = initiators(await kernelModules())
  const array = createMemoryArray({ volumes: [{ size: '8MiB' }], ports: 4 })
  await using agent = createHostAgent({ targets: [memory({ array })] })
  array.portDown(3)
  const first = await agent.rescan()
  expect(first.added.length).toBe(4)
  array.portUp(3)
  const volume = array.addVolume({ size: '16MiB', blockSize: 512 })
  const second = await agent.rescan()
  expect([...first.added, ...second.added].length).toBe(8)
  expect(agent.devices().find(({ id }) => id === volume)?.paths.length).toBe(4)
  array.unmap(volume, 'all')
  expect((await agent.rescan()).removed.length).toBe(4)
  expect(initiators(await kernelModules())).toEqual(before)
})

it('mission rows 3, 4 and 5: one native device a path, one multipath device a volume, by identity, each once', async () => {
  // The numbers of the volumes are crossed on half of the ports.
  const array = createMemoryArray({ volumes: [{ size: '8MiB' }, { size: '8MiB' }], ports: 4 })
  for (const port of [2, 3]) {
    array.unmap(0, port)
    array.unmap(1, port)
    array.map(1, port, 0)
    array.map(0, port, 1)
  }
  await using agent = createHostAgent({ targets: [memory({ array })] })
  await agent.rescan()
  await agent.rescan()
  const devices = agent.devices()
  expect(new Set(devices.map(({ id }) => id)).size).toBe(devices.length)
  const natives = devices.filter(({ kind }) => kind === 'native')
  const multipaths = devices.filter(({ kind }) => kind === 'multipath')
  expect(natives.length).toBe(8)
  expect(multipaths.map(({ paths }) => paths.length)).toEqual([4, 4])
  for (const [number, { id }] of array.volumes.entries()) {
    const device = multipaths.find((one) => one.id === id)!
    const wanted = [number, number, 1 - number, 1 - number].map((lun, port) => `memory:array0/port${port}/lun${lun}`)
    expect([...device.paths].sort()).toEqual(wanted)
    await using disk = await agent.open(id)
    await disk.write(0, Buffer.alloc(4096, number + 1))
    expect(array.peek(number, 0, 1)[0]).toBe(number + 1)
  }
})

it('mission row 6: one export for each volume, whatever its paths are', async () => {
  await using bed = await openBed({ array: { volumes: [{ size: '8MiB' }, { size: '8MiB' }], ports: 8 } })
  const names = async (): Promise<string[]> => {
    const { exports } = JSON.parse(await succeed('nbdinfo', ['--list', '--json', bed.uri])) as {
      exports: Record<string, string>[]
    }
    return exports.map((found) => found['export-name']!)
  }
  expect(await names()).toEqual(['vol-0', 'vol-1'])
  bed.array.portDown(0)
  await bed.agent.rescan()
  expect(await names()).toEqual(['vol-0', 'vol-1'])
})

it.each([
  ['round-robin', () => roundRobin()],
  ['round-robin, 16 a turn', () => roundRobin({ minIos: 16 })],
  ['queue-depth', queueDepth],
] as const)('mission row 16: fio is spread over all paths by %s', async (_name, selector) => {
  await using bed = await openBed({ array: { latency: { base: 200, jitter: 200 } }, selector })
  await fio(bed.uri, bed.folder.path, ['--rw=randrw', '--bs=4k', '--iodepth=32', '--size=16M'])
  const ios = bed.pair.paths.map((path) => path.ios)
  const sum = ios.reduce((total, one) => total + one, 0)
  expect(sum).toBeGreaterThanOrEqual(4096)
  for (const share of ios) expect(share).toBeGreaterThan(sum / 8)
})

it('mission row 18: paths and volumes come and go while the export stays and fio runs', async () => {
  await using bed = await openBed({ array: { volumes: [{ size: '16MiB' }], latency: { base: 100 } } })
  const { agent, array, pair } = bed
  const volume = array.volumes[0]!.id
  const node = pair.kernel.node
  const load = startFio(bed.uri, bed.folder.path, [...verifiedMix, '--size=16M', '--time_based', '--runtime=3'])
  const paths = (): string[] => pair.paths.filter(({ state }) => state === 'up').map(({ id }) => id)
  for (const port of [0, 1, 2, 3]) {
    const path = `memory:array0/port${port}/lun0`
    await expect.poll(paths, patient).toContain(path)
    array.unmap(0, port)
    await expect.poll(paths, patient).not.toContain(path)
    array.map(0, port, 5)
    await expect.poll(paths, patient).toContain(`memory:array0/port${port}/lun5`)
    array.reuseLun(port, 5, array.addVolume({ size: '1MiB' }))
    await expect.poll(paths, patient).not.toContain(`memory:array0/port${port}/lun5`)
    array.map(0, port)
  }
  expect(fioJob(await load.ended).writes).toBeGreaterThan(100)
  await agent.rescan()
  // All four lead through the present mappings, and those that are gone are not listed.
  await expect.poll(() => [paths().length, pair.paths.length], patient).toEqual([4, 4])
  expect(pair.kernel.node).toBe(node)
  expect(agent.devices().find(({ id }) => id === volume)?.paths.length).toBe(4)
  expect(agent.devices().filter(({ kind }) => kind === 'multipath').length).toBe(5)
})

it('mission row 20: depths are visible and the order of selection is observable', async () => {
  const order: number[] = []
  const depths: number[] = []
  const watched = (): PathSelector => {
    const inner = roundRobin()
    let list: readonly PathView[] = []
    return {
      name: 'watched',
      update(paths) {
        list = paths
        inner.update(paths)
      },
      select(io) {
        const view = inner.select(io)
        order.push(list.indexOf(view!))
        depths.push(view!.inflight)
        return view
      },
    }
  }
  await using bed = await openBed({ array: { queueDepth: 64 }, selector: watched })
  await expect.poll(() => bed.pair.paths.every(({ state }) => state === 'up'), patient).toBe(true)
  await qemuIo(bed.uri, ...Array.from({ length: 12 }, (_none, n) => `read ${n * 4}k 4k`))
  const first = order[0]!
  expect(order.slice(0, 12)).toEqual(Array.from({ length: 12 }, (_none, n) => (first + n) % 4))
  expect(depths.slice(0, 12)).toEqual(Array(12).fill(0))

  // What waits on hung ports stands in their queues.
  for (const { number } of bed.array.ports) bed.array.hang(number)
  const ends = Array.from({ length: 20 }, (_none, n) => bed.pair.user.read(n * 4096, 4096))
  expect(bed.pair.paths.map(({ inflight }) => inflight)).toEqual([5, 5, 5, 5])
  expect(depths.slice(-4)).toEqual([4, 4, 4, 4])
  for (const { number } of bed.array.ports) bed.array.release(number)
  await Promise.all(ends)
  expect(bed.pair.paths.map(({ inflight }) => inflight)).toEqual([0, 0, 0, 0])
})

it('mission row 21: a single native device is paired without a policy', async () => {
  await using folder = await openFolder()
  const array = createMemoryArray({ volumes: [{ size: '16MiB' }], ports: 4 })
  await using agent = createHostAgent({ targets: [memory({ array })] })
  await agent.rescan()
  const native = agent.devices().find(({ kind }) => kind === 'native')!
  const transport = nbd({ socket: folder.at('nbd.sock') })
  await using pair = await agent.pair({ name: 'one', device: native.id, transport })
  expect(pair.policy).toBe('')
  expect(pair.paths.map(({ id }) => id)).toEqual([native.id])
  await fio(pair.kernel.node, folder.path, [...verifiedMix, '--size=16M'])
  expect(array.registrations.length).toBe(1)
})
