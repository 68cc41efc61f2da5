import { basename } from 'node:path'
import type { Access, VolumeId } from '@blockbraid/core'
import type { LatencyOptions, VolumeOptions } from '@blockbraid/target-memory'
import schema from '../../schema/array.schema.json' with { type: 'json' }
import type { Source } from '../config/source.ts'
import { ConfigError, parseSource } from '../config/source.ts'
import { validate } from '../config/validate.ts'
import { madeId } from './identity.ts'

/** The kinds of arrays. */
export type ArrayKind = 'iscsi' | 'nvmeof'

/** An address of an array, and options of its kind. */
export interface PortEntry {
  readonly host: string
  readonly port: number
  readonly access: Access
  readonly options: Readonly<Record<string, unknown>>
}

/** An array of a file. */
export interface ArrayEntry {
  readonly use: ArrayKind
  /** Name of the iSCSI target, or NQN of the subsystem. */
  readonly name: string
  readonly ports: readonly PortEntry[]
  /** Options of its kind. */
  readonly options: Readonly<Record<string, unknown>>
  /** `file:line:column` of an option, or of the array. */
  locate(option?: string): string
}

/** What `blockbraid array` serves. */
export interface ArrayFile {
  readonly name: string
  readonly control: string | undefined
  readonly volumes: readonly VolumeOptions[]
  readonly latency: LatencyOptions | undefined
  /** How long a change of access takes that a host asks for, µs. */
  readonly transitionDelay: number
  readonly arrays: readonly ArrayEntry[]
}

type RawPort = string | { host?: string; port?: number; access?: Access; [option: string]: unknown }

/** A file as the schema lets it through. */
interface RawFile {
  name?: string
  control?: string
  volumes: (Omit<VolumeOptions, 'id'> & { id?: VolumeId })[]
  latency?: LatencyOptions
  transitionDelay?: number
  arrays: ({ use: ArrayKind; name: string; ports?: RawPort[] } & Record<string, unknown>)[]
}

const PORTS = { iscsi: 3260, nvmeof: 4420 } as const

/**
 * The arrays that a YAML text describes; `file` is used in messages, and names what has no name. Throws a
 * {@link ConfigError} that names line and field.
 */
export function parseArrayFile(
  text: string,
  file: string,
  env: Readonly<Record<string, string | undefined>>,
): ArrayFile {
  const source = parseSource(text, file, env)
  const raw = validate(source, undefined, schema) as RawFile
  const name = raw.name ?? (basename(file).split('.')[0] || 'array').replace(/[^A-Za-z0-9_-]/g, '-').slice(0, 64)
  return {
    name,
    control: raw.control,
    volumes: raw.volumes.map((volume, number) => ({ ...volume, id: volume.id ?? madeId(name, number) })),
    latency: raw.latency,
    transitionDelay: raw.transitionDelay ?? 0,
    arrays: raw.arrays.map((array, index) => entryOf(array, index, source)),
  }
}

function entryOf(
  { use, name, ports, ...options }: RawFile['arrays'][number],
  index: number,
  source: Source,
): ArrayEntry {
  return {
    use,
    name,
    ports: (ports ?? ['127.0.0.1']).map((port, number) =>
      portOf(use, port, ['arrays', index, 'ports', number], source),
    ),
    options,
    locate: (option) => source.locate(['arrays', index, ...(option === undefined ? [] : [option])]),
  }
}

function portOf(use: ArrayKind, raw: RawPort, at: (string | number)[], source: Source): PortEntry {
  if (typeof raw !== 'string') {
    const { host = '127.0.0.1', port = PORTS[use], access = 'optimized', ...options } = raw
    return { host, port, access, options }
  }
  const [, v6, name, digits] = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s]+))(?::(\d{1,5}))?$/.exec(raw) ?? []
  const port = digits === undefined ? PORTS[use] : Number(digits)
  const host = v6 ?? name
  if (host === undefined || port > 65_535) {
    const [, , , number] = at
    const field = `${at[0]}[${at[1]}].ports[${number}]`
    throw new ConfigError(`${source.locate(at)}: ${field} is "${raw}": it must be host, host:port or [v6]:port`)
  }
  return { host, port, access: 'optimized', options: {} }
}
