import type { PathSelector, PathView } from '@blockbraid/core'
import { createChaosProxy } from '@blockbraid/testkit'
import { expect, it } from 'vitest'
import { openBed } from './support/bed.ts'
import { allAre } from './support/data.ts'
import { startQemuIoWith } from './support/qemu-io.ts'

const patient = { timeout: 20_000, interval: 5 }
const SIZE = 65_536

/** Takes the port that the test says. */
function steered(): { port: number; create(): PathSelector } {
  const steering = {
    port: 0,
    create: (): PathSelector => {
      let paths: readonly PathView[] = []
      return {
        name: 'steered',
        update: (usable) => void (paths = usable),
        select: () => paths.find(({ id }) => id.includes(`/port${steering.port}/`)) ?? paths[0],
      }
    },
  }
  return steering
}

it('qemu that reconnects and resends reads what it wrote last, though a path still had its first write', async () => {
  const steering = steered()
  await using bed = await openBed({
    array: { volumes: [{ size: '1MiB' }], ports: 2, log: true },
    selector: steering.create,
    listen: { host: '127.0.0.1', port: 0 },
    multipath: { ioTimeout: 1500, reconnectDelay: 10, reconnectDelayMax: 100 },
  })
  const { array, pair } = bed
  await expect.poll(() => pair.paths.map(({ state }) => state), patient).toEqual(['up', 'up'])
  const { port } = new URL(bed.uri)
  await using proxy = await createChaosProxy({ to: { host: '127.0.0.1', port: Number(port) } })
  const node = `driver=nbd,host=${proxy.host},port=${proxy.port},export=${pair.id},reconnect-delay=60`
  const session = await startQemuIoWith(['-t', 'writeback', '--image-opts', node])
  array.hang(0)
  await session.ask(`aio_write -P 1 0 ${SIZE}`)
  await expect.poll(() => array.ports[0]!.commands, patient).toBe(1)
  steering.port = 1
  proxy.cut()
  // qemu comes back and sends the write again; that is told to it, and the newer one too, once the first has no way any more.
  await session.ask('aio_flush')
  await session.ask(`write -P 2 0 ${SIZE}`)
  const failures = (): number => pair.paths[0]!.failures
  await expect.poll(failures, patient).toBe(1)
  array.release(0)
  await expect.poll(() => array.ports[0]!.commands, patient).toBe(0)
  expect(await session.ask(`read -P 2 0 ${SIZE}`)).not.toMatch(/failed/)
  expect(allAre(array.peek(0, 0, SIZE), 2)).toBe(true)
  // The first try was never repeated: only what qemu sent again, and then the newer one.
  expect(array.log.map(({ port, data }) => [port, data?.[0]])).toEqual([
    [1, 1],
    [1, 2],
  ])
  await session.kill()
})
