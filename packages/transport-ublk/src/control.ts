import type { Clock } from '@blockbraid/core'
import { BlockError, delay, Errno } from '@blockbraid/core'
import { CommandError, codeOf, openFailure, refusedWith, ringFailure } from './errors.ts'
import type { Command } from './protocol.ts'
import { Command as C, Flag, legacyOpcode } from './protocol.ts'
import { ANY_DEVICE, writeControlCommand } from './structs.ts'
import type { CommandRing, Memory, UblkSystem } from './system.ts'

/** What a command takes beside its device. */
export interface CommandArguments {
  /** The argument that is no payload. @defaultValue 0 */
  readonly data?: number
  /** Sent, and overwritten by the answer. */
  readonly payload?: Uint8Array
  /** Path of the character device, which the driver checks the caller's rights by. */
  readonly path?: string
}

/** The way to the driver: control commands as promises. None of them blocks this thread. */
export interface Control {
  /** Low word of the features; undefined where the driver is too old to tell (before Linux 6.5). */
  readonly features: number | undefined
  /** Resolves to the payload as the driver left it. Rejects with a {@link CommandError}. */
  send(command: Command, device: number, options?: CommandArguments): Promise<Uint8Array>
  /** Ends it; commands under way reject with CLOSED. */
  close(): void
}

const CONTROL_NODE = '/dev/ublk-control'
/** Commands that can be under way at once; some wait for their device. */
const SLOTS = 64
/** Bytes: the longest payload, and a path before it. */
const SLOT_BYTES = 256
/** What older drivers (Linux 6.6 among them) say of a command that they do not know; no errno of user space. */
const ENOTSUPP = 524
// Memory that the driver may still write to when the channel is closed in the middle of a command.
const abandoned: Memory[] = []
/** Milliseconds that devtmpfs or udev may take to show the node of a module just loaded. */
const APPEAR_LIMIT = 2000

interface Pending {
  readonly command: number
  readonly payloadAt: number
  readonly payloadLength: number
  readonly resolve: (payload: Uint8Array) => void
  readonly reject: (error: Error) => void
}

/** Opens the driver, and loads its module where it is missing and may be loaded. Rejects with NOT_SUPPORTED or DENIED. */
export async function openControl(system: UblkSystem, clock: Clock): Promise<Control> {
  const fd = await openNode(system, clock)
  let channel: Channel
  try {
    channel = new Channel(system, fd)
  } catch (error) {
    system.close(fd)
    throw ringFailure(error, system)
  }
  try {
    await channel.readFeatures()
    return channel
  } catch (error) {
    channel.close()
    throw error
  }
}

async function openNode(system: UblkSystem, clock: Clock): Promise<number> {
  try {
    return system.open(CONTROL_NODE)
  } catch (error) {
    if (!isMissing(error) || !(await system.loadModule())) throw openFailure(error, system)
  }
  for (let waited = 0; ; waited += 10) {
    try {
      return system.open(CONTROL_NODE)
    } catch (error) {
      if (!isMissing(error) || waited >= APPEAR_LIMIT) throw openFailure(error, system)
    }
    await delay(clock, 10)
  }
}

function isMissing(error: unknown): boolean {
  return ['ENOENT', 'ENXIO', 'ENODEV'].includes(codeOf(error))
}

class Channel implements Control {
  features: number | undefined
  readonly #system: UblkSystem
  readonly #fd: number
  readonly #ring: CommandRing
  readonly #memory: Memory
  readonly #bytes: Uint8Array
  readonly #free: number[] = []
  readonly #pending = new Map<number, Pending>()
  /** Calls that wait for a slot. */
  #waiting: (() => void)[] = []
  #closed = false
  readonly #settle = (slot: number, result: number): void => this.#completed(slot, result)

  constructor(system: UblkSystem, fd: number) {
    this.#system = system
    this.#fd = fd
    this.#ring = system.ring(SLOTS, true, () => void this.#ring.drain(this.#settle))
    this.#memory = system.memory(SLOTS * SLOT_BYTES)
    this.#bytes = new Uint8Array(this.#memory.buffer)
    for (let slot = SLOTS - 1; slot >= 0; slot--) this.#free.push(slot)
    this.#ring.unref()
  }

  /** Drivers that do not know the command do not know the encoding of opcodes that it came with either. */
  async readFeatures(): Promise<void> {
    this.features = Flag.IoctlEncoding
    try {
      const answer = await this.send(C.GetFeatures, ANY_DEVICE, { payload: new Uint8Array(8) })
      this.features = new DataView(answer.buffer).getUint32(0, true)
    } catch (error) {
      if (!refusedWith(error, Errno.EOPNOTSUPP, Errno.EINVAL, Errno.ENODEV)) throw error
      this.features = undefined
    }
  }

  async send(command: Command, device: number, options: CommandArguments = {}): Promise<Uint8Array> {
    while (this.#free.length === 0 && !this.#closed) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
    if (this.#closed) throw closed()
    const slot = this.#free.pop() as number
    const { data = 0, payload, path } = options
    const start = slot * SLOT_BYTES
    const pathLength = path === undefined ? 0 : this.#putPath(start, path)
    if (payload !== undefined) this.#bytes.set(payload, start + pathLength)
    const length = pathLength + (payload?.length ?? 0)
    return new Promise((resolve, reject) => {
      this.#pending.set(slot, {
        command,
        payloadAt: start + pathLength,
        payloadLength: payload?.length ?? 0,
        resolve,
        reject,
      })
      writeControlCommand(this.#ring.words, this.#ring.next(), this.#fd, slot, {
        opcode: this.features === undefined ? legacyOpcode(command) : command,
        device,
        address: length === 0 ? 0 : this.#memory.address + start,
        length,
        data,
        pathLength,
      })
      // A command under way keeps the process alive, the channel alone does not.
      if (this.#pending.size === 1) this.#ring.ref()
      this.#ring.submit()
    })
  }

  #putPath(start: number, path: string): number {
    const text = Buffer.from(`${path}\0`)
    this.#bytes.set(text, start)
    return text.length
  }

  #completed(slot: number, result: number): void {
    const pending = this.#pending.get(slot)
    if (pending === undefined) return
    this.#pending.delete(slot)
    this.#free.push(slot)
    if (this.#pending.size === 0) this.#ring.unref()
    this.#waiting.shift()?.()
    const { payloadAt, payloadLength } = pending
    if (result === -ENOTSUPP) pending.reject(new CommandError(pending.command, Errno.EOPNOTSUPP))
    else if (result < 0) pending.reject(new CommandError(pending.command, -result))
    else pending.resolve(this.#bytes.slice(payloadAt, payloadAt + payloadLength))
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#ring.close()
    this.#system.close(this.#fd)
    if (this.#pending.size === 0) this.#memory.unmap()
    else abandoned.push(this.#memory)
    for (const { reject } of this.#pending.values()) reject(closed())
    this.#pending.clear()
    for (const go of this.#waiting.splice(0)) go()
  }
}

function closed(): BlockError {
  return new BlockError('CLOSED', 'the ublk transport is closed')
}
