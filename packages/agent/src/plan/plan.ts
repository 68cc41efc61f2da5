import type { DeviceInfo, KernelNode } from '@blockbraid/core'
import type { DeviceConfig } from '../config/config.ts'
import type { Texts } from '../config/placeholders.ts'
import { mentions } from '../config/placeholders.ts'
import type { ConfigError } from '../config/source.ts'
import type { NameRecord } from '../state/name-record.ts'
import type { NameClaim } from '../state/names.ts'

/** A device that shall be paired, and under which name. */
export interface PlannedPair {
  readonly device: DeviceInfo
  readonly config: DeviceConfig
  readonly name: string
  /** Its number; null where its entry uses none. */
  readonly n: number | null
  /** Text for each placeholder of a template. */
  readonly texts: Texts
  /** What must be kept of it; undefined where the name is that of the volume itself. */
  readonly claim: NameClaim | undefined
}

/** What to pair, and one error for each device that a config wants and that must not be paired. */
export interface Plan {
  readonly pairs: readonly PlannedPair[]
  readonly refusals: readonly ConfigError[]
}

/** What entries have paired: by the id of the device, its number. A pair that was taken down keeps its place. */
export type Paired = ReadonlyMap<DeviceConfig, ReadonlyMap<string, number | null>>

/** A pair that is up; without a config where a program made it. */
export interface PresentPair {
  readonly name: string
  readonly volume: string
  readonly config?: DeviceConfig | undefined
}

/** A kernel node of another process, or one that none serves and that a pair of its name and volume takes over. */
export type OtherNode = Pick<KernelNode, 'node' | 'name' | 'volume' | 'served'>

/** What new pairs have to agree with. */
export interface Present {
  readonly paired: Paired
  readonly pairs: readonly PresentPair[]
  readonly nodes: readonly OtherNode[]
  /** Which volume each name belongs to, or why that is not known. */
  readonly names: readonly NameRecord[] | Error
  /** The command that lets a name go. */
  forget(record: NameRecord): string
}

/** A device that an entry wants, on its way to a plan. */
export interface Candidate {
  readonly device: DeviceInfo
  readonly config: DeviceConfig
}

/** Whether the number of a volume in an entry can be seen from outside. */
export function usesNumber({ name, transport }: DeviceConfig): boolean {
  return mentions(name, 'n') || mentions(transport.options, 'n')
}

/** Whether names of an entry must be kept, since they say nothing of their volume. */
export function needsRecord(config: DeviceConfig): boolean {
  return usesNumber(config) || !mentions(config.name, 'volume')
}

/** The names that are known; none where they cannot be read. */
export function recordsOf({ names }: Present): readonly NameRecord[] {
  return names instanceof Error ? [] : names
}

/** Text for each placeholder that a device fills in. */
export function textsOf({ volume, serial, lun }: DeviceInfo, n?: number | null): Texts {
  return {
    volume: safe(volume),
    ...(serial && { serial: safe(serial) }),
    ...(lun && { lun: safe(lun) }),
    ...(typeof n === 'number' && { n: String(n) }),
  }
}

/** As a name can be. */
function safe(text: string): string {
  return text.replace(/[^A-Za-z0-9._:-]/g, '_')
}
