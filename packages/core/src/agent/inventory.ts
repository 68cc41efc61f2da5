import { BlockError } from '../errors.ts'
import type { PathSource } from '../multipath/path-source.ts'
import type { PathInfo } from '../target.ts'
import type { VolumeId } from '../volume-id.ts'
import { isVolumeId } from '../volume-id.ts'
import type { Asking } from './asking.ts'
import type { Joined } from './joins.ts'
import type { DeviceInfo, ResizedVolume, ScanError, ScanReport } from './types.ts'

/** Every path that the targets offered when they were last asked, by path id. */
export type Inventory = ReadonlyMap<string, PathSource>

/** Puts together what every target offers; `errors` are of what cannot be used of it. */
export function takeStock(askings: readonly Asking[]): { inventory: Inventory; errors: readonly ScanError[] } {
  const inventory = new Map<string, PathSource>()
  const errors: ScanError[] = []
  for (const { target, offered } of askings) {
    for (const info of offered) {
      // What is there counts before what another target only expects there.
      if (inventory.get(info.id)?.info.unseen === true) inventory.delete(info.id)
      else if (info.unseen === true && inventory.has(info.id)) continue
      const fault = infoFault(info, inventory)
      if (fault === undefined) inventory.set(info.id, { target, info })
      else errors.push({ target: target.name, path: info.id, error: fault })
    }
  }
  return { inventory, errors }
}

/** Paths that came and went between two inventories, one that leads to another volume did both; and volumes of another size. */
export function differenceOf(before: Inventory, after: Inventory): Pick<ScanReport, 'added' | 'removed' | 'resized'> {
  const resized = resizedBetween(before, after)
  return {
    ...(resized.length > 0 && { resized }),
    added: [...after.keys()].filter((id) => !isSamePath(before.get(id), after.get(id))),
    removed: [...before.keys()].filter((id) => !isSamePath(before.get(id), after.get(id))),
  }
}

function resizedBetween(before: Inventory, now: Inventory): ResizedVolume[] {
  const changes = new Map<string, ResizedVolume>()
  for (const [id, { info }] of now) {
    const { volume, size } = info
    const old = before.get(id)
    if (old === undefined || !isSamePath(old, now.get(id)) || old.info.size === size) continue
    // 0: it did not tell.
    if (old.info.size > 0 && size > 0) {
      changes.set(`${volume} ${old.info.size} ${size}`, { volume, before: old.info.size, size })
    }
  }
  return [...changes.values()]
}

function isSamePath(one: PathSource | undefined, other: PathSource | undefined): boolean {
  return one !== undefined && one.info.volume === other?.info.volume
}

function infoFault(info: PathInfo, known: Inventory): Error | undefined {
  if (!isVolumeId(info.volume)) {
    return new BlockError(
      'PROTOCOL',
      `path ${info.id} has the identity "${info.volume}", which has none of the known forms`,
    )
  }
  const other = known.get(info.id)
  return other === undefined
    ? undefined
    : new BlockError('IN_USE', `path ${info.id} is offered twice, by ${other.target.name} before`)
}

/** Native devices, one a path, and multipath devices, one a volume, each once. */
export function listDevices(inventory: Inventory, volumes: Joined['volumes']): DeviceInfo[] {
  const known = new Map([...volumes.values()].flat().map((source) => [source.info.id, volumeOf(source)]))
  const natives = seen(inventory.values()).map((info) =>
    deviceInfo('native', info.id, known.get(info.id) ?? info.volume, [info]),
  )
  const multipaths = Array.from(volumes, ([volume, sources]) => [volume, seen(sources)] as const)
    .filter(([, infos]) => infos.length > 0)
    .map(([volume, infos]) => deviceInfo('multipath', volume, volume, infos))
  return [...natives, ...multipaths]
}

/** Without what is only expected to be there. */
function seen(sources: Iterable<PathSource>): PathInfo[] {
  return Array.from(sources, ({ info }) => info).filter(({ unseen }) => unseen !== true)
}

function deviceInfo(kind: DeviceInfo['kind'], id: string, volume: VolumeId, infos: PathInfo[]): DeviceInfo {
  const told = infos.filter(({ size }) => size > 0)
  const first = (told[0] ?? infos[0]) as PathInfo
  return {
    kind,
    id,
    volume,
    size: told.length === 0 ? 0 : Math.min(...told.map(({ size }) => size)),
    blockSize: first.blockSize,
    paths: infos.map((info) => info.id),
    addresses: infos.map(({ address }) => address),
    product: first.product ?? '',
    ...agreed('serial', infos),
    ...agreed('lun', infos),
  }
}

/** What all of them tell alike; nothing where one differs, or tells nothing. */
function agreed<Field extends 'serial' | 'lun'>(field: Field, infos: readonly PathInfo[]): { [Key in Field]?: string } {
  const value = infos[0]?.[field]
  return value === undefined || infos.some((info) => info[field] !== value)
    ? {}
    : ({ [field]: value } as { [Key in Field]?: string })
}

/** Identity of the device that a path is for. */
export function volumeOf({ volume, info }: PathSource): VolumeId {
  return volume ?? info.volume
}

/** The paths behind a device id: all of a volume, or the one of a native device. */
export function sourcesOf(inventory: Inventory, volumes: Joined['volumes'], id: string): readonly PathSource[] {
  const native = inventory.get(id)
  if (native === undefined) return volumes.get(id as VolumeId) ?? []
  const joined = [...volumes.values()].flat().find(({ info }) => info.id === id)
  return [joined ?? native]
}
