import type { VolumeId } from '@blockbraid/core'
import { BlockError } from '@blockbraid/core'
import { Cns, identify } from '../nvme/admin.ts'
import { demand } from '../nvme/ask.ts'
import { hex, isBlank } from '../nvme/bytes.ts'
import type { Descriptors } from '../nvme/descriptors.ts'
import { decodeDescriptors } from '../nvme/descriptors.ts'
import { namespaceIdOf } from '../nvme/identity.ts'
import type { Namespace } from '../nvme/namespace-data.ts'
import { decodeNamespace } from '../nvme/namespace-data.ts'
import { StatusError } from '../nvme/status-error.ts'
import type { Asker } from './ask.ts'
import { ask, askIfKnown } from './ask.ts'

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
}

const NO_DESCRIPTORS: Descriptors = { eui64: undefined, nguid: undefined, uuid: undefined, commandSet: undefined }
const NO_SUCH_NAMESPACE = 0x00b

/**
 * Reads who a namespace is, and what it says of itself; undefined where there is none. Rejects with NOT_SUPPORTED where it
 * has no identity to be joined by, or is of another command set.
 */
export async function readNamespace(asker: Asker, nsid: number): Promise<Seen | undefined> {
  try {
    const { data: bytes } = await ask(asker, () => demand('Identify Namespace', identify(Cns.Namespace, nsid)))
    // What is not active is told as zeroes (NVMe Base 2.1 §5.1.13.2.1).
    if (isBlank(bytes)) return undefined
    const told = await askIfKnown(asker, () => demand('Identify descriptors', identify(Cns.Descriptors, nsid)))
    const data = decodeNamespace(bytes)
    return {
      data,
      identity: identityOf(nsid, data, told === undefined ? NO_DESCRIPTORS : decodeDescriptors(told.data)),
    }
  } catch (error) {
    if (error instanceof StatusError && (error.nvme & 0x7ff) === NO_SUCH_NAMESPACE) return undefined
    throw error
  }
}

function identityOf(nsid: number, data: Namespace, descriptors: Descriptors): Identity {
  const { commandSet } = descriptors
  if (commandSet !== undefined && commandSet !== 0) {
    throw new BlockError(
      'NOT_SUPPORTED',
      `namespace ${nsid} is of command set ${commandSet}; only NVM, 0, is spoken here`,
    )
  }
  const volume = namespaceIdOf(data, descriptors)
  if (volume === undefined) {
    const text = `namespace ${nsid} has no identity: neither UUID, NGUID nor EUI-64 is set`
    throw new BlockError('NOT_SUPPORTED', text)
  }
  const names = {
    uuid: descriptors.uuid,
    nguid: descriptors.nguid ?? data.nguid,
    eui64: descriptors.eui64 ?? data.eui64,
  }
  const told = Object.entries(names).flatMap(([name, bytes]) =>
    bytes === undefined || isBlank(bytes) ? [] : [`${name} ${hex(bytes)}`],
  )
  return { nsid, volume, names: told.join(', ') }
}

/** What a namespace does now that it did not when it was `before`; undefined where it is the same one. */
export function differenceOf(before: Identity, now: Identity | undefined): string | undefined {
  if (now === undefined) return 'leads to no namespace'
  if (now.volume !== before.volume) return `leads to volume ${now.volume}, not to ${before.volume}`
  return now.names === before.names ? undefined : `tells the names ${now.names}, not ${before.names}`
}
