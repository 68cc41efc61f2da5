import type { MultipathDevice, MultipathOptions, Path, PathInfo, PathSelector, UserDevice } from '@blockbraid/core'
import { userDevice } from '@blockbraid/core'
import type { IscsiOptions, IscsiTarget } from '@blockbraid/target-iscsi'
import { iscsi } from '@blockbraid/target-iscsi'
import { findAt, openEveryPath } from '../guest/open.ts'
import { within } from '../guest/wait.ts'
import type { Backstore, BackstoreOptions } from './backstore.ts'
import { createBackstore, identityOf } from './backstore.ts'
import type { LioTarget, LioTargetOptions } from './target.ts'
import { createTarget } from './target.ts'

/** Addresses of the two portals, each in a portal group of its own: tags 1 and 2. */
export const PORTALS = ['127.0.0.1:3260', '127.0.0.2:3260'] as const

/** Initiators that the access lists know. */
export const ALICE = 'iqn.2026-11.io.blockbraid.test:alice'
export const BOB = 'iqn.2026-11.io.blockbraid.test:bob'

/** What a bed is made of. */
export interface BedOptions extends Partial<Omit<LioTargetOptions, 'luns'>> {
  /** LUN 0 and up; each `{ kind: 'file', size: 16 MiB }` where it does not say. */
  readonly luns?: readonly Partial<BackstoreOptions>[]
}

/** A target of LIO, and initiators of it that are closed before it goes. */
export interface Bed extends AsyncDisposable {
  readonly lio: LioTarget
  readonly volumes: readonly Backstore[]
  /** Identities of the volumes. */
  readonly ids: readonly string[]
  /** An initiator: ALICE at both portals, unless `options` say otherwise. */
  initiator(options?: Partial<IscsiOptions>): IscsiTarget
  /** Closes an initiator before the bed ends. */
  close(target: IscsiTarget): Promise<void>
  /** Another volume, not yet a LUN. */
  addVolume(options?: Partial<BackstoreOptions>): Backstore
}

export const MIB = 1024 * 1024

// Long enough for an emulated machine on a busy host, short enough for news to be heard soon.
const patient: Partial<IscsiOptions> = {
  keepAliveTimeout: 30_000,
  loginTimeout: 60_000,
  taskTimeout: 30_000,
  pollInterval: 300,
}

let made = 0

/** Makes a target with both portals. */
export function openBed({ luns = [{}], ...options }: BedOptions = {}): Bed {
  const volumes: Backstore[] = []
  const ids: string[] = []
  const initiators = new Set<IscsiTarget>()
  const addVolume = (wanted: Partial<BackstoreOptions> = {}): Backstore => {
    const number = ++made
    const serial = `b10cb4a1d${number.toString(16).padStart(7, '0')}`
    const volume = createBackstore({ name: `volume${number}`, kind: 'file', size: 16 * MIB, serial, ...wanted })
    volumes.push(volume)
    ids.push(identityOf(wanted.serial ?? serial))
    return volume
  }
  const lio = createTarget({
    name: `iqn.2026-11.io.blockbraid.test:array${++made}`,
    groups: PORTALS.map((portal, at) => ({ portal, tag: at + 1 })),
    initiators: [ALICE, BOB],
    ...options,
    luns: luns.map(addVolume),
  })
  const close = async (target: IscsiTarget): Promise<void> => {
    initiators.delete(target)
    await target.close()
  }
  return {
    lio,
    volumes,
    ids,
    addVolume,
    close,
    initiator(wanted = {}) {
      const target = iscsi({ portals: lio.portals, target: lio.name, initiator: ALICE, ...patient, ...wanted })
      initiators.add(target)
      return target
    },
    async [Symbol.asyncDispose]() {
      // After a test that has failed, what cannot end must not hold the others up.
      for (const { storage } of volumes) storage.setStopped(false)
      for (const target of initiators) await target.close({ signal: AbortSignal.timeout(10_000) }).catch(() => {})
      await within('LIO has taken the target down', Promise.resolve(lio[Symbol.asyncDispose]()), 20_000)
      for (const volume of volumes) await volume.remove()
    },
  }
}

/** What is at a LUN of a portal. */
export function find(target: IscsiTarget, lun = 0, portal: string = PORTALS[0]): Promise<PathInfo> {
  return findAt(target, String(lun), portal)
}

/** A path to a LUN through a portal. */
export async function openPath(target: IscsiTarget, lun?: number, portal?: string): Promise<Path> {
  return target.connect(await find(target, lun, portal))
}

/** A device over one path to a LUN. */
export async function openDevice(target: IscsiTarget, lun?: number, portal?: string): Promise<UserDevice> {
  return userDevice(await openPath(target, lun, portal))
}

/** A device over every path to a LUN, ready when all of them are up. */
export function openAllPaths(
  target: IscsiTarget,
  lun = 0,
  selector?: () => PathSelector,
  multipath: MultipathOptions = {},
): Promise<MultipathDevice> {
  return openEveryPath(target, String(lun), selector, multipath)
}
