import type { Host, Target } from '@blockbraid/core'
import { BlockError } from '@blockbraid/core'
import type { SwarmArray, SwarmParts } from './parts.ts'
import type { Shape } from './plan.ts'
import type { Process, Twin, World } from './world.ts'

/** Bytes of a volume at the start. */
export function sizeOf({ blockSize }: Shape): number {
  return blockSize * 128
}

/** Another disk that has the name of the first volume. */
export function createTwin({ volumes }: SwarmArray, parts: SwarmParts, shape: Shape, host: Host): Twin {
  const { blockSize, twinSerial } = shape
  const array = parts.createArray(
    {
      name: 'twin',
      // Of no size that the volume ever has.
      volumes: [{ id: volumes[0]!.id, size: sizeOf(shape) + (twinSerial ? 0 : blockSize), blockSize }],
      controllers: 1,
      ports: 1,
      queueDepth: 32,
      latency: { base: 0, jitter: 0 },
      maxTransfer: 4096,
      fenceDelay: 0,
      log: false,
    },
    host,
  )
  array.unmap(0, 'all')
  return { array, serial: twinSerial ? 'another' : undefined }
}

/** It comes, or goes, and the processes that serve look what there is. */
export function toggleTwin({ twin, processes }: World): void {
  if (twin === undefined) return
  if (isThere(twin)) twin.array.unmap(0, 'all')
  else twin.array.map(0, 'all')
  for (const process of processes) void process?.agent.rescan().catch(() => {})
}

export function removeTwin(world: World): void {
  if (world.twin !== undefined && isThere(world.twin)) toggleTwin(world)
}

const isThere = ({ array }: Twin): boolean => array.ports[0]!.luns.length > 0

// Without another path it would be the volume.
function servesAlone({ served }: Process): boolean {
  const paths = served[0]?.pair.paths ?? []
  return !paths.some(({ id, state }) => state === 'up' && !id.startsWith('memory:twin/'))
}

/** What a process finds it through. */
export function twinTarget(
  world: World,
  { array, serial }: Twin,
  initiator: string,
  host: Host,
  process: () => Process,
): Target {
  const target = world.parts.createTarget(array, initiator, host)
  return {
    name: target.name,
    events: target.events!,
    async discover(options) {
      // Alone it would be the volume, as far as anybody can know.
      const { ports, volumes } = world.array
      const isThere = ports.some(
        ({ up, hung, luns }) => up && !hung && luns.some(({ volume }) => volume === volumes[0]!.id),
      )
      if (!isThere) throw new BlockError('CONNECT_FAILED', 'the twin does not answer')
      const infos = await target.discover(options)
      // Its size may be told by its path alone.
      return infos.map((info) => (serial === undefined ? { ...info, size: 0 } : { ...info, serial }))
    },
    async connect(info, options) {
      const path = await target.connect(info, options)
      if (servesAlone(process())) {
        await path.close()
        throw new BlockError('CONNECT_FAILED', 'the twin does not answer')
      }
      return path
    },
    fence: (token, options) => target.fence!(token, options),
    close: (options) => target.close(options),
  }
}
