import type { VolumeId } from '@blockbraid/core'
import { BlockError } from '@blockbraid/core'
import { hex, isBlank, uuidText } from './bytes.ts'
import type { Descriptors } from './descriptors.ts'
import type { Namespace } from './namespace-data.ts'

/**
 * The identity of a namespace: its UUID, else its NGUID as `eui.` with 32 digits, else its EUI-64 as `eui.` with 16, as
 * Linux chooses and writes them. One that is all zero or all ones counts as none. Undefined without an identity.
 * PROTOCOL where Identify Namespace and the descriptors tell different ones: it was replaced between two reads.
 */
export function namespaceIdOf(
  namespace: Pick<Namespace, 'nguid' | 'eui64'>,
  descriptors: Pick<Descriptors, 'uuid' | 'nguid' | 'eui64'>,
): VolumeId | undefined {
  const nguid = agreed('NGUID', namespace.nguid, descriptors.nguid)
  const eui64 = agreed('EUI-64', namespace.eui64, descriptors.eui64)
  const uuid = set(descriptors.uuid)
  if (uuid !== undefined) return `uuid.${uuidText(uuid)}`
  const eui = nguid ?? eui64
  return eui === undefined ? undefined : `eui.${hex(eui)}`
}

function set(bytes: Uint8Array | undefined): Uint8Array | undefined {
  return bytes === undefined || isBlank(bytes) ? undefined : bytes
}

function agreed(
  what: string,
  identified: Uint8Array | undefined,
  described: Uint8Array | undefined,
): Uint8Array | undefined {
  const one = set(identified)
  const other = set(described)
  if (one === undefined || other === undefined) return one ?? other
  if (hex(one) === hex(other)) return one
  throw new BlockError(
    'PROTOCOL',
    `the namespace tells two values of its ${what}, ${hex(one)} and ${hex(other)}: it changed while it was read`,
  )
}
