import { resolve } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import type { DetachOptions, Transport } from '@blockbraid/core'
import { BlockError } from '@blockbraid/core'
import { makeFolder } from '../files/socket-folder.ts'
import type { CreateTransport } from '../plugins/plugins.ts'

type Options = Readonly<Record<string, unknown>>

/** Transports in use. Devices with the same listen address share one; kernel nodes have one each. */
export interface TransportPool {
  /** Also makes the folder that a unix socket of it will be in. */
  get(create: CreateTransport, options: Options): Promise<Transport>
  close(options?: DetachOptions): Promise<void>
}

/** Makes an empty {@link TransportPool}. */
export function createTransportPool(): TransportPool {
  const members: { address: string | undefined; options: Options; transport: Transport }[] = []
  return {
    async get(create, options) {
      // Before anything is looked up: another may ask for the same address meanwhile.
      if (typeof options['socket'] === 'string') await makeFolder(options['socket'])
      const address = addressOf(options)
      const member = members.find((one) => address !== undefined && one.address === address)
      if (member) {
        if (!isDeepStrictEqual(withoutAddress(member.options), withoutAddress(options)))
          throw new BlockError('IN_USE', `two devices listen on ${address} with different transport options`)
        return member.transport
      }
      const transport = create(options)
      members.push({ address, options, transport })
      return transport
    },
    async close(options) {
      // Each comes to its end though another fails.
      const ends = await Promise.allSettled(members.map(({ transport }) => transport.close(options)))
      for (const end of ends) if (end.status === 'rejected') throw end.reason
    },
  }
}

function addressOf(options: Options): string | undefined {
  const { socket, host, port } = options
  if (typeof socket === 'string') return resolve(socket)
  if (port === undefined && host === undefined) return undefined
  return `${String(host ?? '127.0.0.1')}:${String(port ?? 10809)}`
}

function withoutAddress({ socket: _socket, host: _host, port: _port, ...rest }: Options): Options {
  return rest
}
