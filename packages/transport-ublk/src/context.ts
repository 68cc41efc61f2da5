import type { Clock, SignalOptions } from '@blockbraid/core'
import { abortable } from '@blockbraid/core'
import type { DiskWords } from '@blockbraid/linux'
import type { Control } from './control.ts'
import type { UblkSettings } from './options.ts'
import type { UblkSystem } from './system.ts'

/** What everything about a node needs. */
export interface Context {
  readonly control: Control
  readonly system: UblkSystem
  readonly clock: Clock
  readonly settings: UblkSettings
}

/** What a node is known by, and what it is said to be. */
export interface Names extends DiskWords {
  /** Of the pair. */
  readonly name: string
  /** Identity of the volume; an empty text where it is not known. */
  readonly volume: string
}

/** What all transports of a process share. */
interface Shared {
  /** Names of its nodes. */
  readonly names: Set<string>
  /** Ios of nodes that have ended, which their devices still work on, by volume. */
  readonly unfinished: Map<string, Promise<void>>
}

const processes = new WeakMap<UblkSystem, Shared>()

function sharedOf(system: UblkSystem): Shared {
  const shared = processes.get(system) ?? { names: new Set(), unfinished: new Map() }
  processes.set(system, shared)
  return shared
}

/** Names of the nodes of this process. */
export function namesOf(system: UblkSystem): Set<string> {
  return sharedOf(system).names
}

function keyOf({ name, volume }: Names): string {
  return volume === '' ? `name ${name}` : `volume ${volume}`
}

/** Remembers what a node that has ended left with its device. */
export function leaveUnfinished(system: UblkSystem, names: Names, done: Promise<void>): void {
  const { unfinished } = sharedOf(system)
  const key = keyOf(names)
  const all = Promise.all([unfinished.get(key), done]).then(() => {
    if (unfinished.get(key) === all) unfinished.delete(key)
  })
  unfinished.set(key, all)
}

/**
 * Waits until this process works on nothing that a former node of this volume sent: a write of it must not land
 * on top of what the new node is about to write.
 */
export async function allFinished(system: UblkSystem, names: Names, { signal }: SignalOptions): Promise<void> {
  await abortable(sharedOf(system).unfinished.get(keyOf(names)) ?? Promise.resolve(), signal)
}

/** What has the block layer refuse writes to a node, or take them again; undefined where this process may not. */
export function protector({ system, settings }: Context): UblkSystem['setReadOnly'] {
  return settings.unprivileged ? undefined : system.setReadOnly?.bind(system)
}
