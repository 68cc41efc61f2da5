import type { PathSelector, PathView } from '@blockbraid/core'
import { expect, it } from 'vitest'
import { openBed } from './support/bed.ts'
import { startQemuIo } from './support/qemu-io.ts'

const patient = { timeout: 20_000, interval: 5 }

/** Takes port 0 while it is usable. */
function firstPort(): PathSelector {
  let first: PathView | undefined
  return {
    name: 'first-port',
    update(paths) {
      first = paths.find(({ id }) => id.includes('/port0/')) ?? paths[0]
    },
    select: () => first,
  }
}

it('a write that the array still executes after its path was cut does not undo a later one', async () => {
  // Time enough for the application to write again before the fence stands, were it told too early.
  await using bed = await openBed({
    array: { volumes: [{ size: '1MiB' }], ports: 2, fenceDelay: 1_000_000, log: true },
    selector: firstPort,
  })
  const { array, pair } = bed
  await expect.poll(() => pair.paths.map(({ state }) => state), patient).toEqual(['up', 'up'])
  const session = await startQemuIo(bed.uri)
  array.slow(0, 500_000)
  await session.ask('aio_write -P 1 0 64k')
  await expect.poll(() => array.ports[0]!.commands, patient).toBe(1)
  array.portDown(0)
  await session.ask('aio_flush')
  await session.ask('write -P 2 0 64k')
  // The cut port has nothing left that it could still execute.
  await expect.poll(() => array.ports[0]!.commands, patient).toBe(0)
  expect(await session.ask('read -P 2 0 64k')).not.toMatch(/failed/)
  // It did execute the first one, late: the same data came twice, then the later one.
  expect(array.log.map(({ port, data }) => [port, data?.[0]])).toEqual([
    [0, 1],
    [1, 1],
    [1, 2],
  ])
  await session.kill()
})
