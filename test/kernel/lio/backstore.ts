import { join } from 'node:path'
import type { Access } from '@blockbraid/core'
import { change, get, make, remove, set } from '../guest/configfs.ts'
import type { Storage, StorageOptions } from '../guest/storage.ts'
import { fileStorage, loopStorage, mappedStorage, ramStorage } from '../guest/storage.ts'
import { ROOT } from './root.ts'

/** A volume of LIO, before it is a LUN of a target. */
export interface BackstoreOptions {
  /** Unique in the machine. */
  readonly name: string
  /**
   * `ram`: LIO's ramdisk. `file`: a sparse file, thin and with a write cache. `disk`: a block device, which can grow.
   * `stoppable`: a block device that can be stopped.
   */
  readonly kind: keyof typeof kinds
  /** Bytes. */
  readonly size: number
  /** Bytes. @defaultValue 512 */
  readonly blockSize?: number
  /** Its serial number: hex digits, of which LIO makes the NAA identity too. */
  readonly serial: string
}

/** A volume of LIO. */
export interface Backstore {
  /** Its folder in configfs. */
  readonly path: string
  readonly storage: Storage
  /** A device attribute, such as `max_unmap_lba_count`. */
  attribute(name: string): string
  /** Adds a target port group. */
  addGroup(group: string, id: number): void
  /** Sets the state of a group, as an administrator of the array does. */
  setAccess(group: string, access: Access): void
  /** The same, with that many milliseconds of transition before. */
  transition(group: string, access: Access, milliseconds: number): Promise<void>
  /** State of a group. */
  access(group: string): Access
  /** Initiators registered for persistent reservations, and the one that holds the reservation, in LIO's words. */
  reservations(): { readonly registered: string; readonly holder: string }
  remove(): Promise<void>
}

/** Identity that LIO gives a volume with this serial number. */
export function identityOf(serial: string): string {
  return `naa.6001405${serial
    .replace(/[^0-9a-f]/g, '')
    .padEnd(25, '0')
    .slice(0, 25)}`
}

interface Kind {
  readonly adapter: string
  readonly storage: (options: StorageOptions) => Storage
  readonly attributes: (blockSize: number) => Readonly<Record<string, number>>
}

const thin = { emulate_tpu: 1, emulate_tpws: 1, emulate_write_cache: 1 }

const kinds = {
  ram: { adapter: 'rd_mcp_0', storage: ramStorage, attributes: (blockSize) => ({ block_size: blockSize }) },
  file: { adapter: 'fileio_0', storage: fileStorage, attributes: (blockSize) => ({ block_size: blockSize, ...thin }) },
  disk: { adapter: 'iblock_0', storage: loopStorage, attributes: () => ({}) },
  stoppable: { adapter: 'iblock_0', storage: mappedStorage, attributes: () => ({}) },
} as const satisfies Record<string, Kind>

// SPC-5 table 248, ASYMMETRIC ACCESS STATE.
const states: readonly (readonly [Access, number])[] = [
  ['optimized', 0],
  ['non-optimized', 1],
  ['standby', 2],
  ['unavailable', 3],
  ['transitioning', 15],
]

/** Makes a volume. */
export function createBackstore({ name, kind, size, blockSize = 512, serial }: BackstoreOptions): Backstore {
  const { adapter, attributes, storage: open }: Kind = kinds[kind]
  const storage = open({ name, size, blockSize })
  const path = make(join(ROOT, 'core', adapter, name))
  set(path, 'control', storage.control)
  set(path, 'enable', 1)
  set(path, 'wwn/vpd_unit_serial', serial)
  for (const [attribute, value] of Object.entries(attributes(blockSize))) set(path, `attrib/${attribute}`, value)
  const groups: string[] = []
  const groupPath = (group: string): string => join(path, 'alua', group)
  return {
    path,
    storage,
    attribute: (attribute) => get(path, `attrib/${attribute}`),
    addGroup(group, id) {
      make(groupPath(group), { tg_pt_gp_id: id, alua_access_type: 3, trans_delay_msecs: 0 })
      groups.push(group)
    },
    setAccess: (group, access) => set(groupPath(group), 'alua_access_state', codeOf(access)),
    async transition(group, access, milliseconds) {
      set(groupPath(group), 'trans_delay_msecs', milliseconds)
      // LIO lets whoever asks for it wait until the transition is over.
      await change(groupPath(group), 'alua_access_state', codeOf(access))
      set(groupPath(group), 'trans_delay_msecs', 0)
    },
    access(group) {
      const state = Number(get(groupPath(group), 'alua_access_state'))
      return states.find(([, value]) => value === state)?.[0] ?? 'unavailable'
    },
    reservations: () => ({ registered: get(path, 'pr/res_pr_registered_i_pts'), holder: get(path, 'pr/res_holder') }),
    async remove() {
      for (const group of groups) await remove(groupPath(group))
      await remove(path)
      storage.remove()
    },
  }
}

function codeOf(access: Access): number {
  return states.find(([name]) => name === access)?.[1] ?? Number.NaN
}
