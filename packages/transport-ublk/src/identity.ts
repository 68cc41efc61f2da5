import { crc32 } from 'node:zlib'
import type { NodeRecord } from '@blockbraid/linux'
import type { DeviceInfo } from './structs.ts'

/** What the driver keeps of a node's names, so that they are known again even where /run was lost. */
export type Identity = Pick<DeviceInfo, 'nameHash' | 'volumeHash'>

/** Identity of a node. */
export function identityOf({ name, volume }: { name: string; volume: string }): Identity {
  return { nameHash: crc32(name), volumeHash: crc32(volume) }
}

/** Whether both stand for the same names. */
export function sameIdentity(one: Identity, other: Identity): boolean {
  return one.nameHash === other.nameHash && one.volumeHash === other.volumeHash
}

/** A record, unless it is one that an earlier device of that number left behind. */
export function recordFor(info: DeviceInfo, record: NodeRecord | undefined): NodeRecord | undefined {
  return record !== undefined && sameIdentity(info, identityOf(record)) ? record : undefined
}
