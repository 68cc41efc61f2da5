import type { Clock, SignalOptions } from '@blockbraid/core'
import type { Endpoint, OpenShared, Wire } from '@blockbraid/wire'
import { InputPool, InputWindow, OutboxPool, systemNetwork } from '@blockbraid/wire'
import type { Place } from '../place/place.ts'
import type { Link } from './link.ts'
import type { LiveAssociation } from './live-association.ts'

/** Where to connect a queue, and how. */
export interface DialOptions {
  readonly clock: Clock
  readonly place: Place
  /** Address of this host to connect from. */
  readonly localAddress?: string | undefined
  readonly headerDigest: boolean
  readonly dataDigest: boolean
  /** One try to connect. @defaultValue TCP */
  readonly openWire?: ((endpoint: Endpoint, shared: OpenShared, options: SignalOptions) => Promise<Wire>) | undefined
}

// Views of received data keep a whole slab alive: a larger one holds more memory for a single view.
const inputs = new InputPool(4, 512 * 1024)
const window = new InputWindow(inputs)
const outputs = new OutboxPool(4)

// Data of the controller begins right behind its header.
const ALIGN = 4

/** Connects the next queue of an association, of `depth` entries; settles when the connection is agreed on. */
export async function dial(
  association: LiveAssociation,
  { place, clock, localAddress, headerDigest, dataDigest, openWire: open = systemNetwork.open }: DialOptions,
  { depth, inCapsule }: { readonly depth: number; readonly inCapsule: number },
  signal: AbortSignal,
): Promise<Link> {
  const { host, port } = place.portal
  const wire = await open({ host, port, localAddress }, { clock, inputs, window, outputs }, { signal })
  const connection = { headerDigest, dataDigest, align: ALIGN, maxR2t: 1 }
  return association.join(wire, { depth, inCapsule, connection })
}
