import type { VolumeId } from '@blockbraid/core'
import { isVolumeId } from '@blockbraid/core'
import { generatedId } from './identity.ts'
import type { Size } from './sizes.ts'
import { parseSize } from './sizes.ts'

/** A volume of the array. */
export interface VolumeOptions {
  /** Bytes, or a text such as `512MiB`; a multiple of `blockSize`, below 2 ** 53. */
  size: Size
  /** Logical block, bytes. @defaultValue 4096 */
  blockSize?: 512 | 4096
  /** Its identity. @defaultValue `naa.6` and 31 digits made of the array's name and the volume's number */
  id?: VolumeId
  /** Whether acknowledged writes may be lost until a Flush, see {@link MemoryArray.crashImage}. @defaultValue true */
  writeCache?: boolean
  /** Refuse ops that change data with EPERM. @defaultValue false */
  readOnly?: boolean
  /** Whether Fua makes a write durable; without it the flag does nothing. @defaultValue true */
  fua?: boolean
  /** Whether it knows Trim. @defaultValue true */
  trim?: boolean
  /** Whether it knows WriteZeroes. @defaultValue true */
  writeZeroes?: boolean
  /** Let other volumes have its identity too, as two disks of one name do. @defaultValue false */
  duplicateId?: boolean
}

/** What {@link MemoryArray.change} changes; what is left out stays. */
export interface VolumeChanges {
  /** As in {@link VolumeOptions}; what stood behind a smaller end is gone. */
  size?: Size
  /** As in {@link VolumeOptions}. */
  writeCache?: boolean
  /** As in {@link VolumeOptions}. */
  readOnly?: boolean
  /** As in {@link VolumeOptions}. */
  fua?: boolean
  /** As in {@link VolumeOptions}. */
  trim?: boolean
  /** As in {@link VolumeOptions}. */
  writeZeroes?: boolean
}

/** How long a command takes, µs: `base`, and up to `jitter` more by the host's randomness. */
export interface LatencyOptions {
  /** @defaultValue 0 */
  base?: number
  /** @defaultValue 0 */
  jitter?: number
}

/** A port of the array. */
export interface PortOptions {
  /** Number of its controller. @defaultValue the ports are spread over the controllers in turn */
  controller?: number
  /** @defaultValue the array's */
  latency?: LatencyOptions
  /** Commands it works on at once; more wait in the port. @defaultValue the array's */
  queueDepth?: number
}

/** Options of {@link createMemoryArray}. */
export interface MemoryArrayOptions {
  /** Part of path ids and of generated identities; 1 to 64 of A-Z a-z 0-9 . _ - @defaultValue 'array0' */
  name?: string
  /** @defaultValue one volume of 64MiB */
  volumes?: readonly VolumeOptions[]
  /** How many. @defaultValue 2 */
  controllers?: number
  /** How many, or each. @defaultValue 4 */
  ports?: number | readonly PortOptions[]
  /** Of every port. @defaultValue none: a command is done at the end of the turn it was sent in */
  latency?: LatencyOptions
  /** Of every port. @defaultValue 128 */
  queueDepth?: number
  /** The largest single read or write: bytes, or a text; a multiple of 4096. @defaultValue '4MiB' */
  maxTransfer?: Size
  /** How long the array takes to end what a closed path left in it, µs. @defaultValue 0 */
  fenceDelay?: number
  /** How long a change of access takes that a host asks for, µs: its paths are in transition meanwhile. @defaultValue 0 */
  transitionDelay?: number
  /** How long paths say that a transition may take, ms. @defaultValue they do not say it */
  transitionTime?: number
  /** Keep {@link MemoryArray.log}, with copies of all data. @defaultValue false */
  log?: boolean
}

/** The flags of a volume, as they stand in its limits. @internal */
export interface VolumeFeatures {
  readonly writeCache: boolean
  readonly readOnly: boolean
  readonly fua: boolean
  readonly trim: boolean
  readonly writeZeroes: boolean
}

/** @internal */
export interface ResolvedVolume {
  readonly id: VolumeId
  readonly size: number
  readonly blockSize: number
  readonly features: VolumeFeatures
  readonly duplicateId: boolean
}

/** @internal */
export interface ResolvedPort {
  readonly controller: number
  readonly base: number
  readonly jitter: number
  readonly queueDepth: number
}

/** @internal */
export interface ResolvedArray {
  readonly name: string
  readonly volumes: readonly ResolvedVolume[]
  readonly controllers: number
  readonly ports: readonly ResolvedPort[]
  readonly maxTransfer: number
  readonly fenceDelay: number
  readonly transitionDelay: number
  readonly transitionTime: number | undefined
  readonly log: boolean
}

const ARRAY_FIELDS = [
  'name',
  'volumes',
  'controllers',
  'ports',
  'latency',
  'queueDepth',
  'maxTransfer',
  'fenceDelay',
  'transitionDelay',
  'transitionTime',
  'log',
] as const
const FEATURES = ['writeCache', 'readOnly', 'fua', 'trim', 'writeZeroes'] as const
const VOLUME_FIELDS = ['size', 'blockSize', 'id', ...FEATURES, 'duplicateId'] as const
const PLAIN: VolumeFeatures = { writeCache: true, readOnly: false, fua: true, trim: true, writeZeroes: true }
const PORT_FIELDS = ['controller', 'latency', 'queueDepth'] as const

/** Names of {@link MemoryArrayOptions}. @internal */
export const arrayFields: readonly string[] = ARRAY_FIELDS

/** Fills in defaults; throws a TypeError that names a wrong field, its value and what would be right. */
export function resolveArray(options: MemoryArrayOptions): ResolvedArray {
  const given = object('options', options, ARRAY_FIELDS)
  const name = arrayName('name', given['name'] ?? 'array0')
  const controllers = integer('controllers', given['controllers'] ?? 2, 1, 64)
  const volumes = list('volumes', given['volumes'] ?? [{ size: '64MiB' }], 4096)
  const maxTransfer = parseSize('maxTransfer', given['maxTransfer'] ?? '4MiB')
  if (maxTransfer % 4096 !== 0) throw wrong('maxTransfer', given['maxTransfer'], 'a multiple of 4096 bytes')
  const resolved = {
    name,
    volumes: volumes.map((volume, number) => resolveVolume(`volumes[${number}]`, volume, name, number)),
    controllers,
    ports: resolvePorts(given, controllers),
    maxTransfer,
    fenceDelay: duration('fenceDelay', given['fenceDelay'] ?? 0),
    transitionDelay: duration('transitionDelay', given['transitionDelay'] ?? 0),
    transitionTime:
      given['transitionTime'] === undefined
        ? undefined
        : integer('transitionTime', given['transitionTime'], 1, 255_000),
    log: boolean('log', given['log'] ?? false),
  }
  for (const [number, volume] of resolved.volumes.entries()) {
    mustBeDistinct(`volumes[${number}].id`, volume, resolved.volumes.slice(0, number))
  }
  return resolved
}

/** Throws unless `volume` has an identity of its own, or one that it may have. */
export function mustBeDistinct(field: string, volume: ResolvedVolume, others: readonly { id: VolumeId }[]): void {
  if (volume.duplicateId || others.every(({ id }) => id !== volume.id)) return
  throw wrong(field, volume.id, 'the identity of no other volume')
}

/** The same for one volume, the `number`th of its array. */
export function resolveVolume(field: string, options: unknown, array: string, number: number): ResolvedVolume {
  const given = object(field, options, VOLUME_FIELDS)
  const blockSize = given['blockSize'] ?? 4096
  if (blockSize !== 512 && blockSize !== 4096) throw wrong(`${field}.blockSize`, blockSize, '512 or 4096')
  const id = given['id'] ?? generatedId(array, number)
  if (typeof id !== 'string' || !isVolumeId(id)) throw wrong(`${field}.id`, id, 'an identity such as naa.6001405…')
  return {
    id,
    size: volumeSize(`${field}.size`, given['size'], blockSize),
    blockSize,
    features: resolveFeatures(`${field}.`, given, PLAIN),
    duplicateId: boolean(`${field}.duplicateId`, given['duplicateId'] ?? false),
  }
}

/** Size and flags of a volume after {@link VolumeChanges}. */
export function resolveChanges(
  changes: VolumeChanges,
  volume: { readonly size: number; readonly blockSize: number; readonly features: VolumeFeatures },
): { size: number; features: VolumeFeatures } {
  const given = object('changes', changes, ['size', ...FEATURES])
  return {
    size: given['size'] === undefined ? volume.size : volumeSize('size', given['size'], volume.blockSize),
    features: resolveFeatures('', given, volume.features),
  }
}

function resolveFeatures(prefix: string, given: Record<string, unknown>, before: VolumeFeatures): VolumeFeatures {
  const features = { ...before }
  for (const name of FEATURES) features[name] = boolean(`${prefix}${name}`, given[name] ?? before[name])
  return features
}

/** Bytes of a volume; whole blocks. */
export function volumeSize(field: string, size: unknown, blockSize: number): number {
  const bytes = parseSize(field, size)
  if (bytes % blockSize !== 0) throw wrong(field, size, `a multiple of the block size, ${blockSize} bytes`)
  return bytes
}

/** A name that may stand in a path id. */
export function arrayName(field: string, name: unknown): string {
  if (typeof name === 'string' && /^[A-Za-z0-9._-]{1,64}$/.test(name)) return name
  throw wrong(field, name, '1 to 64 of the characters A-Z a-z 0-9 . _ -')
}

/** A whole number from `least` to `most`. */
export function integer(field: string, value: unknown, least: number, most: number): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value
  throw wrong(field, value, `a whole number from ${least} to ${most}`)
}

/** Microseconds, at most an hour. */
export function duration(field: string, value: unknown): number {
  if (typeof value === 'number' && value >= 0 && value <= 3_600_000_000) return value
  throw wrong(field, value, 'microseconds, from 0 to 3600000000')
}

/** The error for an argument: what was given, and what would be right. */
export function wrong(field: string, value: unknown, right: string): TypeError {
  const shown = typeof value === 'string' ? JSON.stringify(value) : String(value)
  return new TypeError(`${field} is ${shown}; it must be ${right}`)
}

function resolvePorts(given: Record<string, unknown>, controllers: number): ResolvedPort[] {
  const latency = resolveLatency('latency', given['latency'] ?? {})
  const queueDepth = integer('queueDepth', given['queueDepth'] ?? 128, 1, 65_536)
  const ports = given['ports'] ?? 4
  const each = Array.isArray(ports)
    ? list('ports', ports, 1024)
    : new Array<unknown>(integer('ports', ports, 1, 1024)).fill({})
  if (each.length === 0) throw wrong('ports', '[]', 'a number, or a list of at least one')
  return each.map((port, number) => {
    const field = `ports[${number}]`
    const own = object(field, port, PORT_FIELDS)
    return {
      controller: integer(`${field}.controller`, own['controller'] ?? number % controllers, 0, controllers - 1),
      ...(own['latency'] === undefined ? latency : resolveLatency(`${field}.latency`, own['latency'])),
      queueDepth: integer(`${field}.queueDepth`, own['queueDepth'] ?? queueDepth, 1, 65_536),
    }
  })
}

function resolveLatency(field: string, latency: unknown): { base: number; jitter: number } {
  const given = object(field, latency, ['base', 'jitter'])
  return {
    base: duration(`${field}.base`, given['base'] ?? 0),
    jitter: duration(`${field}.jitter`, given['jitter'] ?? 0),
  }
}

/** An object with no fields but `fields`. */
export function object(field: string, value: unknown, fields: readonly string[]): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(field, value, 'an object')
  for (const key of Object.keys(value)) {
    if (!fields.includes(key)) throw new TypeError(`${field}.${key} is unknown; known are ${fields.join(', ')}`)
  }
  return value as Record<string, unknown>
}

function list(field: string, value: unknown, most: number): readonly unknown[] {
  if (Array.isArray(value) && value.length <= most) return value
  throw wrong(field, Array.isArray(value) ? `${value.length} long` : value, `a list of at most ${most}`)
}

function boolean(field: string, value: unknown): boolean {
  if (typeof value === 'boolean') return value
  throw wrong(field, value, 'true or false')
}
