import type { Host, PathInfo } from '@blockbraid/core'
import { messageOf } from '@blockbraid/core'
import type { MemoryArray } from '@blockbraid/target-memory'
import { createMemoryArray, memory } from '@blockbraid/target-memory'
import { hiderOf } from '../config/secrets.ts'
import { ConfigError } from '../config/source.ts'
import type { ArrayEntry, ArrayFile, ArrayKind } from './array-file.ts'
import { Gate, throughGates } from './gate.ts'

/** What both kinds of arrays let one do with one of their addresses. */
export interface Wire {
  readonly address: string
  readonly connections: number
  cut(): void
  reset(): void
  down(): Promise<void>
  up(): Promise<void>
  blackhole(on: boolean): void
}

/** A port: its number counts through all arrays of the file, and is that of the memory behind them. */
export interface LabPort {
  readonly number: number
  readonly array: LabArray
  readonly wire: Wire
  readonly gate: Gate
  /** Whether it listens. */
  up: boolean
  /** Whether nothing comes in and nothing goes out. */
  blackhole: boolean
}

/** A host that is connected. */
export interface LabHost {
  /** Its iSCSI name, or its NQN. */
  readonly name: string
  /** Number of the port. */
  readonly port: number
  readonly inflight: number
}

/** One array of the file. */
export interface LabArray {
  readonly use: ArrayKind
  readonly name: string
  /** What initiators did against the standard, a sentence each. */
  violations(): readonly string[]
  hosts(): readonly LabHost[]
  heal(): void
  close(): Promise<void>
}

/** Everything that `blockbraid array` serves. */
export interface Lab {
  readonly name: string
  readonly storage: MemoryArray
  readonly arrays: readonly LabArray[]
  readonly ports: readonly LabPort[]
  close(): Promise<void>
}

/** An array as its package makes it, and its addresses in order. */
interface Made {
  readonly array: Omit<LabArray, 'use' | 'name'>
  readonly wires: readonly Wire[]
}

/** Starts what a file describes. Rejects with a {@link ConfigError} where an option is wrong or an address cannot be had. */
export async function startLab(file: ArrayFile, host: Host): Promise<Lab> {
  const entries = file.arrays.flatMap((array) => array.ports.map((port) => ({ array, port })))
  const storage = createMemoryArray(
    {
      name: file.name,
      volumes: file.volumes,
      ports: entries.length,
      transitionDelay: file.transitionDelay,
      // What is lost of a cache is known by the log alone, which keeps all data: a test bed runs for long.
      ...(file.latency === undefined ? {} : { latency: file.latency }),
    },
    host,
  )
  for (const [number, { port }] of entries.entries()) storage.setAccess('all', { port: number }, port.access)
  const target = memory({ array: storage }, host)
  const arrays: LabArray[] = []
  const ports: LabPort[] = []
  const close = async (): Promise<void> => {
    await Promise.all(arrays.map((array) => array.close()))
    await target.close()
  }
  try {
    for (const entry of file.arrays) {
      const first = ports.length
      const gates = new Map(entry.ports.map((_port, number) => [first + number, new Gate()]))
      const { array, wires } = await make(entry, throughGates(target, gates, portOf), host)
      const own: LabArray = { ...array, use: entry.use, name: entry.name }
      arrays.push(own)
      for (const [number, wire] of wires.entries()) {
        const gate = gates.get(first + number)!
        ports.push({ number: first + number, array: own, wire, gate, up: true, blackhole: false })
      }
    }
  } catch (error) {
    await close()
    throw error
  }
  return { name: file.name, storage, arrays, ports, close }
}

function portOf({ id }: PathInfo): number {
  return Number(/\/port(\d+)\//.exec(id)?.[1])
}

type Behind = ReturnType<typeof throughGates>

async function make(entry: ArrayEntry, target: Behind, host: Host): Promise<Made> {
  const ports = entry.ports.map((port) => ({ host: port.host, port: port.port, ...port.options }))
  const options = { ...entry.options, name: entry.name }
  try {
    // Each is in memory only where a file has one.
    return entry.use === 'iscsi'
      ? await makeIscsi(target, { ...options, portals: ports }, host)
      : await makeNvme(target, { ...options, ports }, host)
  } catch (error) {
    const text = hiderOf(entry.options).hide(messageOf(error))
    const [, field] = error instanceof TypeError ? (/^([A-Za-z]\w*)/.exec(text) ?? []) : []
    throw new ConfigError(`${entry.locate(field === 'portals' ? 'ports' : field)}: ${entry.use} array: ${text}`)
  }
}

async function makeIscsi(target: Behind, options: Parameters<typeof iscsi>[1], host: Host): Promise<Made> {
  const array = await iscsi(target, options, host)
  const hosts = (): LabHost[] =>
    array.sessions
      .filter(({ discovery }) => !discovery)
      .map(({ initiatorName: name, portal: port, inflight }) => ({ name, port, inflight }))
  return { array: faceOf(array, hosts), wires: array.portals }
}

async function makeNvme(target: Behind, options: Parameters<typeof nvme>[1], host: Host): Promise<Made> {
  const array = await nvme(target, options, host)
  const hosts = (): LabHost[] =>
    array.controllers
      .filter(({ discovery }) => !discovery)
      .map(({ hostNqn: name, port, inflight }) => ({ name, port, inflight }))
  return { array: faceOf(array, hosts), wires: array.ports }
}

async function iscsi(...args: Parameters<typeof import('@blockbraid/array-iscsi')['iscsiArrayOf']>) {
  const { iscsiArrayOf } = await import('@blockbraid/array-iscsi')
  return iscsiArrayOf(...args)
}

async function nvme(...args: Parameters<typeof import('@blockbraid/array-nvmeof')['nvmeArrayOf']>) {
  const { nvmeArrayOf } = await import('@blockbraid/array-nvmeof')
  return nvmeArrayOf(...args)
}

function faceOf(
  array: { readonly violations: readonly string[]; readonly faults: { heal(): void }; close(): Promise<void> },
  hosts: () => readonly LabHost[],
): Made['array'] {
  return { violations: () => array.violations, hosts, heal: () => array.faults.heal(), close: () => array.close() }
}
