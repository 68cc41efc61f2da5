import type { Host, SignalOptions } from '@blockbraid/core'
import type { Endpoint } from './connection.ts'
import { listenForWires } from './listener.ts'
import type { ListenAddress, ListenOptions, WireListener } from './listening.ts'
import type { OpenShared } from './open-wire.ts'
import { openWire } from './open-wire.ts'
import type { Wire } from './wire.ts'

/** What wires are opened in, and listened for. */
export interface Network {
  /** As {@link openWire}. */
  open(endpoint: Endpoint, shared: OpenShared, options?: SignalOptions): Promise<Wire>
  /** As {@link listenForWires}. */
  listen(where: ListenAddress, options: ListenOptions): Promise<WireListener>
}

/** TCP, and unix sockets, of this machine. */
export const systemNetwork: Network = { open: openWire, listen: listenForWires }

/** What a host gives to a plugin with sockets: beside time and randomness, a network and bytes that nobody guesses. */
export interface NetworkHost extends Host {
  /** @defaultValue {@link systemNetwork} */
  readonly network?: Network
  /** @defaultValue those of node:crypto */
  readonly randomBytes?: (count: number) => Buffer
}

/** The network of a host. */
export function networkOf(host: NetworkHost): Network {
  return host.network ?? systemNetwork
}
