import type { MemoryArray } from '@blockbraid/target-memory'
import { createMemoryArray, memory } from '@blockbraid/target-memory'
import type { VirtualHost } from '@blockbraid/testkit'
import type { Host, Target } from '../../src/index.ts'
import { BlockError } from '../../src/index.ts'
import type { Twin, World } from './world.ts'

const SIZE = 64 * 1024

export function createTwin({ volumes }: MemoryArray, host: VirtualHost): Twin {
  const serial = host.random() < 0.5 ? 'another' : undefined
  // Of no size that the volume ever has.
  const size = serial === undefined ? SIZE + 512 : SIZE
  const array = createMemoryArray(
    { name: 'twin', ports: 1, volumes: [{ id: volumes[0]!.id, size, blockSize: 512 }] },
    host,
  )
  array.unmap(0, 'all')
  return { array, serial }
}

/** It comes, or goes, and the process that serves looks what there is. */
export function toggleTwin({ twin, process }: World): void {
  if (twin === undefined) return
  if (isThere(twin)) twin.array.unmap(0, 'all')
  else twin.array.map(0, 'all')
  void process?.agent.rescan().catch(() => {})
}

export function removeTwin(world: World): void {
  if (world.twin !== undefined && isThere(world.twin)) toggleTwin(world)
}

const isThere = ({ array }: Twin): boolean => array.ports[0]!.luns.length > 0

/** What a process finds it through. */
export function twinTarget(world: World, { array, serial }: Twin, host: Host): Target {
  const target = memory({ array }, host)
  return {
    name: target.name,
    events: target.events!,
    async discover(options) {
      // Alone it would be the volume, as far as anybody can know.
      if (!world.array.ports.some(({ up, hung }) => up && !hung))
        throw new BlockError('CONNECT_FAILED', 'the twin does not answer')
      const infos = await target.discover(options)
      return serial === undefined ? infos : infos.map((info) => ({ ...info, serial }))
    },
    connect: (info, options) => target.connect(info, options),
    fence: (token, options) => target.fence!(token, options),
    close: (options) => target.close(options),
  }
}
