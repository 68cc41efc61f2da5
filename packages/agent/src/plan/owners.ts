import { messageOf } from '@blockbraid/core'
import type { DeviceConfig } from '../config/config.ts'
import { mentions } from '../config/placeholders.ts'
import type { NameRecord } from '../state/name-record.ts'
import { dayOf } from '../state/name-record.ts'
import type { NameClaim } from '../state/names.ts'
import { isTaken } from '../state/names.ts'
import type { PlannedPair, Present } from './plan.ts'

/** Why a name must not be used for a device, by what is known of the name. */
export function ownedByAnother(one: PlannedPair, present: Present): string | undefined {
  const { device, config, name, claim } = one
  const { volume } = device
  const pair = present.pairs.find((other) => other.name === name)
  if (pair !== undefined) return collision(config, name, [pair.volume, volume])
  const node = present.nodes.find((other) => other.name === name && other.volume !== volume)
  if (node !== undefined) {
    const state = node.served ? 'which another process serves' : 'which was left'
    return `${name} is ${node.node}, ${state} for ${node.volume || 'another volume'}: "blockbraid down ${name}" ends that`
  }
  const other = present.nodes.find((each) => each.served && each.volume === volume && each.name !== name)
  if (other !== undefined && !config.shared)
    return `another process serves ${volume} already, as ${other.name} on ${other.node}: keep one, or put "shared: true" into the entry`
  if (claim === undefined) return undefined
  if (present.names instanceof Error) {
    const isLeft = present.nodes.some((left) => left.name === name && left.volume === volume)
    return isLeft ? undefined : messageOf(present.names)
  }
  const record = present.names.find((known) => isTaken(known, claim))
  return record === undefined ? undefined : belongs(record, claim, present.forget(record))
}

/** Says whose a name is, and how to let it go. */
export function belongs(record: NameRecord, { name, volume }: NameClaim, command: string): string {
  const what = record.name === name ? `the name ${name}` : `number ${record.n} of ${record.template}`
  const when = `since ${dayOf(record.since)}, last paired on ${dayOf(record.seen)}`
  return `${what} belongs to ${record.volume} (${when}) and is not given to ${volume}: ${command} lets it go`
}

/** Says which volumes would have one name, and what to do. */
export function collision(config: DeviceConfig, name: string, volumes: readonly string[]): string {
  const cure = mentions(config.name, 'volume')
    ? 'give each an entry with a name of its own'
    : 'put {n} or {volume} into the name'
  return `two devices would be named ${name}, ${volumes.join(' and ')}: ${cure}`
}
