import type { Emitter, Host, Path, PathInfo, SignalOptions, Target, TargetEvents } from '@blockbraid/core'
import { abortable, BlockError, createEmitter, systemHost, throwIfAborted } from '@blockbraid/core'
import { createMemoryArray, SimulatedArray } from './array.ts'
import type { Mapping } from './mapping.ts'
import type { MemoryArrayOptions } from './options.ts'
import { arrayFields, arrayName, wrong } from './options.ts'
import type { MemoryPath } from './path.ts'
import { never } from './path.ts'
import type { MemoryArray } from './types.ts'

/** Options of {@link memory}: those of a new array, or `array` alone. */
export interface MemoryOptions extends MemoryArrayOptions {
  /** An array made before, so that several hosts share it. */
  array?: MemoryArray
  /** Name of this host, for {@link MemoryArray.registrations}. @defaultValue 'host0' */
  initiator?: string
}

/** A target on a simulated array. */
export interface MemoryTarget extends Target {
  /** The array, with its faults and its log. */
  readonly array: MemoryArray
  /** Name of this host. */
  readonly initiator: string
  /**
   * Ends the host's process as SIGKILL does: no Io is done and no event comes any more, calls never settle. What was
   * sent stays in the array and is executed in its time, unless another target fences its connections.
   */
  kill(): void
}

/** Makes a target on a simulated array, new or given; throws a TypeError that names a wrong option. */
export function memory(options: MemoryOptions = {}, host: Host = systemHost): MemoryTarget {
  const { array: given, initiator = 'host0', ...own } = options
  if (typeof initiator !== 'string' || !/^[\x21-\x7e]{1,223}$/.test(initiator)) {
    throw wrong('initiator', initiator, '1 to 223 printable characters without spaces')
  }
  if (given === undefined) {
    const array = createMemoryArray(own, host)
    return new ArrayTarget(array as SimulatedArray, array.name, initiator)
  }
  if (!(given instanceof SimulatedArray)) throw wrong('array', given, 'an array made by createMemoryArray')
  const { name = given.name, ...others } = own
  const extra = Object.keys(others)[0]
  if (extra !== undefined) {
    const known = arrayFields.includes(extra) ? 'an option of the array, which is given' : 'unknown'
    throw new TypeError(`options.${extra} is ${known}; beside array stand name and initiator`)
  }
  return new ArrayTarget(given, arrayName('name', name), initiator)
}

/** Options of a target that only looks around: those given, since discovery disturbs nobody here. */
export function scout(options: MemoryOptions): MemoryOptions {
  return options
}

class ArrayTarget implements MemoryTarget {
  readonly name: string
  readonly array: SimulatedArray
  readonly initiator: string
  readonly events: Emitter<TargetEvents> = createEmitter()
  readonly #paths = new Set<MemoryPath>()
  #closed = false
  #killed = false

  constructor(array: SimulatedArray, name: string, initiator: string) {
    this.array = array
    this.name = name
    this.initiator = initiator
    array.events.on('changed', this.#onChanged)
  }

  async discover(options: SignalOptions = {}): Promise<readonly PathInfo[]> {
    await this.#turn(options.signal)
    const mappings = this.array.mappings()
    if (mappings === undefined) throw new BlockError('CONNECT_FAILED', `no port of ${this.array.name} answers`)
    return mappings.map((mapping) => this.#info(mapping))
  }

  async connect(info: PathInfo, options: SignalOptions = {}): Promise<Path> {
    const [number, lun] = this.#place(info.id)
    await this.#turn(options.signal)
    const port = this.array.portAt(number)
    if (port === undefined) throw new BlockError('CONNECT_FAILED', `${this.array.name} has no port ${number}`)
    while (port.up && port.hung) {
      await port.changed(options.signal)
      await this.#mustBeOpen()
    }
    if (!port.up) throw new BlockError('CONNECT_FAILED', `port ${number} of ${this.array.name} is down`)
    const mapping = this.array.mappingAt(port, lun)
    if (mapping === undefined) throw new BlockError('CONNECT_FAILED', `port ${number} has no volume at lun ${lun}`)
    if (mapping.volume.id !== info.volume) {
      throw new BlockError('IDENTITY_CHANGED', `${info.id} leads to ${mapping.volume.id} and not to ${info.volume}`)
    }
    return this.array.connect(mapping, this.initiator, info.id, this.#paths)
  }

  async fence(token: string, options: SignalOptions = {}): Promise<void> {
    await this.#turn(options.signal)
    await abortable(this.array.fence(token), options.signal)
    await this.#mustBeOpen()
  }

  async close(options: SignalOptions = {}): Promise<void> {
    if (this.#killed) return
    this.#closed = true
    this.array.events.off('changed', this.#onChanged)
    this.array.notify()
    await Promise.all([...this.#paths].map((path) => path.close(options)))
  }

  kill(): void {
    this.#killed = true
    this.array.events.off('changed', this.#onChanged)
    for (const path of this.#paths) path.kill()
  }

  readonly #onChanged = (why: string): void => {
    this.events.emit('changed', why)
  }

  #info(mapping: Mapping): PathInfo {
    const { port, lun, volume } = mapping
    return {
      id: `memory:${this.name}/port${port.number}/lun${lun}`,
      address: `${this.array.name} controller ${port.controller} port ${port.number}`,
      volume: volume.id,
      size: volume.size,
      blockSize: volume.blockSize,
      lun: String(lun),
      product: 'blockbraid memory array',
      serial: volume.id.slice(volume.id.indexOf('.') + 1).slice(-16),
    }
  }

  #place(id: string): [port: number, lun: number] {
    const rest = id.startsWith(`memory:${this.name}/`) ? id.slice(`memory:${this.name}/`.length) : ''
    const words = /^port(\d{1,5})\/lun(\d{1,5})$/.exec(rest)
    if (words === null) throw wrong('info.id', id, `memory:${this.name}/portN/lunN, as discover lists it`)
    return [Number(words[1]), Number(words[2])]
  }

  async #turn(signal: AbortSignal | undefined): Promise<void> {
    await this.#mustBeOpen()
    throwIfAborted(signal)
    await new Promise<void>((resolve) => this.array.host.clock.defer(resolve))
    await this.#mustBeOpen()
    throwIfAborted(signal)
  }

  async #mustBeOpen(): Promise<void> {
    if (this.#killed) await never()
    if (this.#closed) throw new BlockError('CLOSED', `${this.name} is closed`)
  }
}
