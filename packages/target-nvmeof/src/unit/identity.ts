import type { VolumeId } from '@blockbraid/core'
import { BlockError } from '@blockbraid/core'
import type { NamespaceFacts } from '../controller/namespaces.ts'
import { readNamespace as readFacts } from '../controller/namespaces.ts'
import { hex, isBlank } from '../nvme/bytes.ts'
import type { Namespace } from '../nvme/namespace-data.ts'
import { StatusError } from '../nvme/status-error.ts'
import type { Asker } from './ask.ts'
import { ask } from './ask.ts'

/** Who a namespace is. */
export interface Identity {
  readonly nsid: number
  readonly volume: VolumeId
  /** All the names that it tells, for people and to be compared. */
  readonly names: string
}

/** A namespace at one moment. */
export interface Seen {
  readonly identity: Identity
  readonly data: Namespace
  readonly facts: NamespaceFacts
}

const NO_SUCH_NAMESPACE = 0x00b

/**
 * Reads who a namespace is, and what it says of itself; undefined where there is none. Rejects with NOT_SUPPORTED where it
 * has no identity to be joined by.
 */
export async function readNamespace(asker: Asker, nsid: number): Promise<Seen | undefined> {
  try {
    const facts = await ask(asker, () => readFacts(nsid))
    return { facts, data: facts.namespace, identity: identityOf(facts) }
  } catch (error) {
    if (isGone(error)) return undefined
    throw error
  }
}

function isGone(error: unknown): boolean {
  if (error instanceof StatusError) return (error.nvme & 0x7ff) === NO_SUCH_NAMESPACE
  return BlockError.is(error) && error.code === 'NOT_FOUND'
}

function identityOf({ nsid, volume, namespace, descriptors }: NamespaceFacts): Identity {
  if (volume === undefined) {
    const text = `namespace ${nsid} has no identity: neither UUID, NGUID nor EUI-64 is set`
    throw new BlockError('NOT_SUPPORTED', text)
  }
  const { uuid, nguid = namespace.nguid, eui64 = namespace.eui64 } = descriptors
  const names = Object.entries({ uuid, nguid, eui64 }).flatMap(([name, bytes]) =>
    bytes === undefined || isBlank(bytes) ? [] : [`${name} ${hex(bytes)}`],
  )
  return { nsid, volume, names: names.join(', ') }
}

/** What a namespace does now that it did not when it was `before`; undefined where it is the same one. */
export function differenceOf(before: Identity, now: Identity | undefined): string | undefined {
  if (now === undefined) return 'leads to no namespace'
  if (now.volume !== before.volume) return `leads to volume ${now.volume}, not to ${before.volume}`
  return now.names === before.names ? undefined : `tells the names ${now.names}, not ${before.names}`
}
