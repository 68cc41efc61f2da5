// A subsystem of the kernel's NVMe target with two ports, and initiators of it.
import type { MultipathDevice, MultipathOptions, Path, PathSelector, UserDevice } from '@blockbraid/core'
import { userDevice } from '@blockbraid/core'
import type { NvmeofOptions, NvmeofTarget } from '@blockbraid/target-nvmeof'
import { nvmeof } from '@blockbraid/target-nvmeof'
import { findAt, openEveryPath } from '../guest/open.ts'

import type { Storage } from '../guest/storage.ts'
import { fileStorage, loopStorage, mappedStorage } from '../guest/storage.ts'
import { within } from '../guest/wait.ts'
import type { NamespaceOptions, NvmetOptions, NvmetTarget, PortOptions } from './target.ts'
import { createNvmet } from './target.ts'

/** Addresses of the two ports, 1 and 2. */
export const PORTALS = ['127.0.0.1:4420', '127.0.0.2:4420'] as const

export const MIB = 1024 * 1024

/** A namespace to be made. */
export interface VolumeOptions extends Partial<Omit<NamespaceOptions, 'storage'>> {
  /**
   * `file`: a file, whose blocks are of 512 bytes or what the kernel makes of it. `disk`: a block device, which can grow.
   * `stoppable`: a block device that can be stopped. @defaultValue 'disk'
   */
  readonly kind?: 'file' | 'disk' | 'stoppable'
  /** Bytes. @defaultValue 64 MiB */
  readonly size?: number
  /** Bytes. @defaultValue 512 */
  readonly blockSize?: number
}

/** What a bed is made of. */
export interface BedOptions extends Partial<Omit<NvmetOptions, 'namespaces' | 'ports'>> {
  /** NSID 1 and up; one of the defaults where left out. */
  readonly namespaces?: readonly VolumeOptions[]
  /** Attributes of both ports. */
  readonly portAttributes?: Readonly<Record<string, string | number>>
  /** Both ports take TLS. */
  readonly tls?: PortOptions['tls']
}

/** A namespace's storage and identity. */
export interface Volume {
  readonly storage: Storage
  /** As `VolumeId` has it. */
  readonly id: `uuid.${string}`
}

/** A subsystem, what its namespaces lie on, and initiators that are closed before it goes. */
export interface Bed extends AsyncDisposable {
  readonly nvmet: NvmetTarget
  /** By NSID - 1. */
  readonly volumes: readonly Volume[]
  /** Adds a namespace with the next number; returns that. */
  addNamespace(options?: VolumeOptions): number
  /** An initiator: ALICE at both ports, unless `options` say otherwise. */
  initiator(options?: Partial<NvmeofOptions>): NvmeofTarget
  /** One that asks the discovery controller of the first port. */
  finder(options?: Partial<NvmeofOptions>): NvmeofTarget
  /** Closes an initiator before the bed ends. */
  close(target: NvmeofTarget): Promise<void>
}

/** Hosts of the tests. */
export const ALICE = 'nqn.2014-08.org.nvmexpress:uuid:0b10c4b1-a1d0-4000-8000-0000000a11ce'
export const BOB = 'nqn.2014-08.org.nvmexpress:uuid:0b10c4b1-a1d0-4000-8000-000000000b0b'

// Long enough for an emulated machine on a busy host, short enough for news to be heard soon.
const patient: Partial<NvmeofOptions> = {
  keepAliveTimeout: 30_000,
  connectTimeout: 60_000,
  commandTimeout: 30_000,
  pollInterval: 300,
}

const kinds = { file: fileStorage, disk: loopStorage, stoppable: mappedStorage }
let made = 0

/** Makes a subsystem with both ports. */
export function openBed({ namespaces = [{}], portAttributes = {}, tls, ...options }: BedOptions = {}): Bed {
  const volumes: Volume[] = []
  const initiators = new Set<NvmeofTarget>()
  const namespaceOf = ({
    kind = 'disk',
    size = 64 * MIB,
    blockSize = 512,
    ...rest
  }: VolumeOptions): NamespaceOptions => {
    const number = ++made
    const uuid = `0b10c4b1-a1d0-4000-8000-${number.toString(16).padStart(12, '0')}`
    const storage = kinds[kind]({ name: `nvmet${number}`, size, blockSize })
    volumes.push({ storage, id: `uuid.${uuid}` })
    return { storage, uuid, ...rest }
  }
  const nvmet = createNvmet({
    nqn: `nqn.2026-11.io.blockbraid.test:subsystem${++made}`,
    ports: PORTALS.map((address, at) => ({ number: at + 1, address, attributes: portAttributes, ...(tls && { tls }) })),
    ...options,
    namespaces: namespaces.map(namespaceOf),
  })
  const add = (wanted: NvmeofOptions): NvmeofTarget => {
    const target = nvmeof({ hostNqn: ALICE, ...patient, ...wanted })
    initiators.add(target)
    return target
  }
  return {
    nvmet,
    volumes,
    initiator: (wanted) => add({ portals: nvmet.portals, subsystem: nvmet.nqn, ...wanted }),
    finder: (wanted) => add({ portals: [PORTALS[0]], ...wanted }),
    async close(target) {
      initiators.delete(target)
      await target.close()
    },
    addNamespace(wanted = {}) {
      const namespace = namespaceOf(wanted)
      nvmet.addNamespace(volumes.length, namespace)
      return volumes.length
    },
    async [Symbol.asyncDispose]() {
      // After a test that has failed, what cannot end must not hold the others up.
      for (const { storage } of volumes) storage.setStopped(false)
      for (const target of initiators) await target.close({ signal: AbortSignal.timeout(10_000) }).catch(() => {})
      await within('nvmet has taken the subsystem down', Promise.resolve(nvmet[Symbol.asyncDispose]()), 20_000)
      for (const { storage } of volumes) storage.remove()
    },
  }
}

/** A path to a namespace through a port. */
export async function openPath(target: NvmeofTarget, nsid = 1, portal: string = PORTALS[0]): Promise<Path> {
  return target.connect(await findAt(target, String(nsid), portal))
}

/** A device over one path to a namespace. */
export async function openDevice(target: NvmeofTarget, nsid?: number, portal?: string): Promise<UserDevice> {
  return userDevice(await openPath(target, nsid, portal))
}

/** A device over every path to a namespace, ready when all of them are up. */
export function openAllPaths(
  target: NvmeofTarget,
  nsid = 1,
  selector?: () => PathSelector,
  multipath: MultipathOptions = {},
): Promise<MultipathDevice> {
  return openEveryPath(target, String(nsid), selector, multipath)
}
