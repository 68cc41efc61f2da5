import type { VolumeId } from '@blockbraid/core'
import { BlockError } from '@blockbraid/core'
import { Cns, getLog, IDENTIFY_LENGTH, identify, LogPage } from '../nvme/admin.ts'
import { ask, demand } from '../nvme/ask.ts'
import { isBlank } from '../nvme/bytes.ts'
import type { NvmLimits } from '../nvme/controller-data.ts'
import { decodeNvmLimits } from '../nvme/controller-data.ts'
import type { Descriptors } from '../nvme/descriptors.ts'
import { decodeDescriptors } from '../nvme/descriptors.ts'
import { namespaceIdOf } from '../nvme/identity.ts'
import type { Namespace } from '../nvme/namespace-data.ts'
import { decodeNamespace } from '../nvme/namespace-data.ts'
import { decodeNamespaceList, NAMESPACES_PER_LIST } from '../nvme/namespace-list.ts'
import type { Procedure } from '../nvme/procedure.ts'
import { StatusError } from '../nvme/status-error.ts'

// What tells of more is not in its right mind.
const MAX_NAMESPACES = 16_384

/** Lists the active namespaces of the controller (NVMe Base 2.1 §5.1.13.2.2). */
export function* activeNamespaces(): Procedure<number[]> {
  const found: number[] = []
  let after = 0
  for (;;) {
    const { data } = yield* demand('Identify of the active namespaces', identify(Cns.ActiveNamespaces, after))
    const page = decodeNamespaceList(data, after)
    if (page === undefined) throw new BlockError('PROTOCOL', 'the list of active namespaces begins with FFFFFFFFh')
    found.push(...page)
    if (found.length > MAX_NAMESPACES) {
      throw new BlockError('PROTOCOL', `the controller tells of more than ${MAX_NAMESPACES} namespaces`)
    }
    if (page.length < NAMESPACES_PER_LIST) return found
    after = page[page.length - 1]!
  }
}

/** Reads which namespaces changed since it was read last; undefined: any may have. Its event may come again then. */
export function* changedNamespaces(): Procedure<number[] | undefined> {
  const { data } = yield* demand(
    'Get Log Page of changed namespaces',
    getLog(LogPage.ChangedNamespaces, IDENTIFY_LENGTH),
  )
  return decodeNamespaceList(data)
}

/** A namespace as its controller tells it. */
export interface NamespaceFacts {
  readonly nsid: number
  readonly namespace: Namespace
  readonly descriptors: Descriptors
  /** Its identity; undefined where it tells none: it cannot be told from another then. */
  readonly volume: VolumeId | undefined
  /** Identify Namespace, 4096 bytes, as it came. */
  readonly identify: Uint8Array
}

const INVALID_FIELD = 0x02
const NOTHING: Descriptors = { eui64: undefined, nguid: undefined, uuid: undefined, commandSet: undefined }

/**
 * Identifies a namespace, its identity last: as fresh as can be, whatever happens to it meanwhile. Throws NOT_FOUND where
 * it is not there, PROTOCOL where it was replaced between two reads.
 */
export function* readNamespace(nsid: number): Procedure<NamespaceFacts> {
  const what = `Identify of namespace ${nsid}`
  const { data } = yield* demand(what, identify(Cns.Namespace, nsid))
  const namespace = decodeNamespace(data)
  // A namespace that is not active is answered by zeroes; one that is not accessible may tell no size.
  if (isBlank(data)) throw new BlockError('NOT_FOUND', `namespace ${nsid} is not active at this controller`)
  const descriptors = yield* readDescriptors(nsid)
  return { nsid, namespace, descriptors, volume: namespaceIdOf(namespace, descriptors), identify: data }
}

/** Reads the identification descriptors of a namespace; a controller from before NVMe 1.3 has none. */
export function* readDescriptors(nsid: number): Procedure<Descriptors> {
  const { status, data } = yield* ask(identify(Cns.Descriptors, nsid))
  if (status === 0) return decodeDescriptors(data)
  if ((status & 0x7ff) === INVALID_FIELD) return NOTHING
  throw new StatusError(`Identify of the descriptors of namespace ${nsid}`, status)
}

/** Reads the limits of the NVM command set; undefined where the controller does not tell them. */
export function* readNvmLimits(): Procedure<NvmLimits | undefined> {
  const { status, data } = yield* ask(identify(Cns.NvmController))
  return status === 0 ? decodeNvmLimits(data) : undefined
}

const LEAST_SHIFT = 9
const MOST_SHIFT = 16
const NVM = 0

/** Throws NOT_SUPPORTED, TOO_LARGE or PROTOCOL where a namespace has a form that is not served, and says which. */
export function checkForm({ nsid, namespace, descriptors }: NamespaceFacts): void {
  const refuse = (why: string): never => {
    throw new BlockError('NOT_SUPPORTED', `namespace ${nsid} ${why}`)
  }
  const { blocks, blockShift, metadata, protection } = namespace
  const { commandSet = NVM } = descriptors
  if (commandSet !== NVM) refuse(`is of I/O command set ${commandSet}; NVM (0) is the one that is served`)
  if (blockShift < LEAST_SHIFT || blockShift > MOST_SHIFT) {
    refuse(`has blocks of 2 ** ${blockShift} bytes; served are 512 to 65536`)
  }
  if (metadata !== 0) refuse(`has ${metadata} bytes of metadata with each block; formats without are served`)
  if (protection !== 0) refuse(`has protection information of type ${protection}; formats without are served`)
  if (blocks * 2 ** blockShift > Number.MAX_SAFE_INTEGER) {
    throw new BlockError(
      'TOO_LARGE',
      `namespace ${nsid} has 2 ** 53 bytes or more; the largest that is served is smaller`,
    )
  }
}
