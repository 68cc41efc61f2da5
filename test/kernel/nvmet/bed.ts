// A subsystem of the kernel's NVMe target with two ports.

import type { Storage } from '../guest/storage.ts'
import { fileStorage, loopStorage, mappedStorage } from '../guest/storage.ts'
import { within } from '../guest/wait.ts'
import type { NamespaceOptions, NvmetOptions, NvmetTarget } from './target.ts'
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
}

/** A namespace's storage and identity. */
export interface Volume {
  readonly storage: Storage
  /** As `VolumeId` has it. */
  readonly id: `uuid.${string}`
}

/** A subsystem, and what its namespaces lie on. */
export interface Bed extends AsyncDisposable {
  readonly nvmet: NvmetTarget
  /** By NSID - 1. */
  readonly volumes: readonly Volume[]
  /** Adds a namespace with the next number; returns that. */
  addNamespace(options?: VolumeOptions): number
}

const kinds = { file: fileStorage, disk: loopStorage, stoppable: mappedStorage }
let made = 0

/** Makes a subsystem with both ports. */
export function openBed({ namespaces = [{}], portAttributes = {}, ...options }: BedOptions = {}): Bed {
  const volumes: Volume[] = []
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
    ports: PORTALS.map((address, at) => ({ number: at + 1, address, attributes: portAttributes })),
    ...options,
    namespaces: namespaces.map(namespaceOf),
  })
  return {
    nvmet,
    volumes,
    addNamespace(wanted = {}) {
      const namespace = namespaceOf(wanted)
      nvmet.addNamespace(volumes.length, namespace)
      return volumes.length
    },
    async [Symbol.asyncDispose]() {
      // After a test that has failed, what cannot end must not hold the others up.
      for (const { storage } of volumes) storage.setStopped(false)
      await within('nvmet has taken the subsystem down', Promise.resolve(nvmet[Symbol.asyncDispose]()), 20_000)
      for (const { storage } of volumes) storage.remove()
    },
  }
}
