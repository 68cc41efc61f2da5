import { createHostAgent } from '@blockbraid/core'
import type { MemoryArray, MemoryArrayOptions } from '@blockbraid/target-memory'
import { memory } from '@blockbraid/target-memory'
import type { NbdOptions, NbdServer } from '@blockbraid/transport-nbd'
import { createNbdServer } from '@blockbraid/transport-nbd'
import type { Folder } from './bed.ts'
import { openFolder } from './bed.ts'

/** An NBD server whose counters can be read, with an export `vol-N` of a multipath device for each volume. */
export interface ServerBed extends AsyncDisposable {
  readonly folder: Folder
  readonly array: MemoryArray
  readonly server: NbdServer
  readonly uris: readonly string[]
}

/** `options` go to the server, which listens on a unix socket unless they name a port. */
export async function openServer(array: MemoryArrayOptions, options: NbdOptions = {}): Promise<ServerBed> {
  const folder = await openFolder()
  const target = memory(array)
  const agent = createHostAgent({ targets: [target] })
  const where = options.port === undefined ? { socket: folder.at('nbd.sock') } : {}
  const server = await createNbdServer({ ...where, ...options })
  const uris: string[] = []
  for (const [number, { id }] of target.array.volumes.entries()) {
    const device = await agent.open(id)
    uris.push(server.add(device, { name: `vol-${number}` }).uri)
  }
  return {
    folder,
    array: target.array,
    server,
    uris,
    async [Symbol.asyncDispose]() {
      try {
        await server.close({ signal: AbortSignal.timeout(5000) })
        await agent.close({ signal: AbortSignal.timeout(5000) })
      } finally {
        await folder[Symbol.asyncDispose]()
      }
    },
  }
}
