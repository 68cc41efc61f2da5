import type { Clock } from '../clock.ts'
import { delay } from '../clock.ts'
import { orAborted } from '../closing.ts'
import { BlockError } from '../errors.ts'
import type { PathSource } from '../multipath/path-slot.ts'
import type { PathInfo, Target } from '../target.ts'
import type { VolumeId } from '../volume-id.ts'
import { isVolumeId } from '../volume-id.ts'
import type { Joined } from './joins.ts'
import type { DeviceInfo, ResizedVolume, ScanError, ScanReport } from './types.ts'

// A target that hangs must not stop the others, milliseconds. Longer than one portal of it may take to be given up.
const DISCOVER_TIMEOUT = 30_000

/** Every path that the targets offered when they were last asked, by path id. */
export type Inventory = ReadonlyMap<string, PathSource>

/** Asks every target; the paths of one that cannot be asked stay as they were. */
export async function scan(
  targets: readonly Target[],
  before: Inventory,
  signal: AbortSignal | undefined,
  clock: Clock,
): Promise<{ inventory: Inventory; report: ScanReport }> {
  const inventory = new Map<string, PathSource>()
  const errors: ScanError[] = []
  const answers = await Promise.allSettled(targets.map((target) => ask(target, clock, signal)))
  for (const [index, answer] of answers.entries()) {
    const target = targets[index] as Target
    if (answer.status === 'rejected') {
      errors.push({ target: target.name, error: asError(answer.reason) })
      for (const [id, source] of before) if (source.target === target) inventory.set(id, source)
      continue
    }
    for (const info of answer.value) {
      const fault = infoFault(info, inventory)
      if (fault === undefined) inventory.set(info.id, { target, info })
      else errors.push({ target: target.name, error: fault })
    }
  }
  signal?.throwIfAborted()
  const resized = resizedIn(before, inventory)
  return {
    inventory,
    report: {
      ...(resized.length === 0 ? {} : { resized }),
      added: [...inventory.keys()].filter((id) => !isSamePath(before.get(id), inventory.get(id))),
      removed: [...before.keys()].filter((id) => !isSamePath(before.get(id), inventory.get(id))),
      errors,
    },
  }
}

async function ask(target: Target, clock: Clock, signal: AbortSignal | undefined): Promise<readonly PathInfo[]> {
  const over = new AbortController()
  const both = signal === undefined ? over.signal : AbortSignal.any([signal, over.signal])
  const timedOut = delay(clock, DISCOVER_TIMEOUT, both).then(() => {
    throw new BlockError('TIMED_OUT', `${target.name} did not answer within ${DISCOVER_TIMEOUT} ms`)
  })
  try {
    return await orAborted(Promise.race([target.discover({ signal: both }), timedOut]), signal)
  } finally {
    over.abort()
    timedOut.catch(() => {})
  }
}

function resizedIn(before: Inventory, now: Inventory): ResizedVolume[] {
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

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason))
}

/** Native devices, one a path, and multipath devices, one a volume, each once. */
export function listDevices(inventory: Inventory, volumes: Joined['volumes']): DeviceInfo[] {
  const known = new Map([...volumes.values()].flat().map((source) => [source.info.id, volumeOf(source)]))
  const natives = Array.from(inventory.values(), ({ info }) =>
    deviceInfo('native', info.id, known.get(info.id) ?? info.volume, [info]),
  )
  const multipaths = Array.from(volumes, ([volume, sources]) =>
    deviceInfo(
      'multipath',
      volume,
      volume,
      sources.map(({ info }) => info),
    ),
  )
  return [...natives, ...multipaths]
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
