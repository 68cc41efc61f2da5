// The ublk driver and the host around it, in memory: what the transport sees of them, down to the words of its commands.
import type { NodeRecord } from '@blockbraid/linux'
import {
  Command,
  commandName,
  Flag,
  legacyOpcode,
  OP_URING_CMD,
  Operation,
  QueueCommand,
  State,
} from '../../src/protocol.ts'
import {
  decodeInfo,
  descriptorBytes,
  descriptorOffset,
  encodeInfo,
  INFO_BYTES,
  PARAMETERS_BYTES,
} from '../../src/structs.ts'
import type { CommandRing, Memory, UblkSystem } from '../../src/system.ts'

export const PAGE = 4096
export const ENODEV = 19
const EBUSY = 16
const EINVAL = 22
const EOPNOTSUPP = 95

export const ALL_FEATURES =
  Flag.UserRecovery |
  Flag.UserRecoveryReissue |
  Flag.UnprivilegedDevice |
  Flag.IoctlEncoding |
  Flag.UpdateSize |
  Flag.Quiesce |
  Flag.NoPartitionScan

/** What an application asks a node for. */
export interface FakeRequest {
  readonly op: number
  readonly flags?: number
  readonly offset?: number
  readonly length?: number
  readonly data?: Uint8Array
}

/** How it ended. */
export interface FakeAnswer {
  readonly result: number
  readonly data: Uint8Array
}

interface Pending {
  readonly request: FakeRequest
  readonly resolve: (answer: FakeAnswer) => void
}

interface Tag {
  /** Set while the driver has it. */
  ring: FakeRing | undefined
  userData: number
  address: number
  request: Pending | undefined
}

interface FakeDevice {
  info: ReturnType<typeof decodeInfo>
  parameters: Uint8Array
  readonly tags: Tag[][]
  readonly descriptors: Uint8Array[]
  waiting: Pending[]
  owner: FakeProcess | undefined
  canceling: boolean
  starting: (() => void)[]
}

/** The kernel. */
export class FakeKernel {
  features: number | undefined = ALL_FEATURES
  readonly devices = new Map<number, FakeDevice>()
  /** Numbers of deleted devices that a process still has open: nobody else gets them. */
  readonly open = new Set<number>()
  readonly records = new Map<string, NodeRecord>()
  /** Processes that have claimed a name. */
  readonly claims = new Map<string, number>()
  readonly alive = new Set<number>()
  users: string[] = []
  /** Command names in the order in which they came. */
  readonly log: string[] = []
  /** Errnos for commands that are to be refused, by name. */
  readonly refusals = new Map<string, number>()
  syncError: Error | undefined
  /** Disks that somebody has open. */
  held = 0
  /** Calls of io_uring_enter on rings of queues. */
  enters = 0
  #nextAddress = 0x7f00_0000_0000
  readonly memories = new Map<number, Uint8Array>()

  process(pid: number): FakeProcess {
    this.alive.add(pid)
    return new FakeProcess(this, pid)
  }

  map(length: number): Memory & { bytes: Uint8Array } {
    const address = this.#nextAddress
    this.#nextAddress += Math.ceil(length / PAGE) * PAGE + PAGE
    const buffer = new ArrayBuffer(length)
    const bytes = new Uint8Array(buffer)
    this.memories.set(address, bytes)
    return { buffer, address, bytes, unmap: () => void this.memories.delete(address) }
  }

  /** Bytes at an address; throws where nothing is mapped. */
  at(address: number, length: number): Uint8Array {
    for (const [start, bytes] of this.memories) {
      if (address >= start && address + length <= start + bytes.length) {
        return bytes.subarray(address - start, address - start + length)
      }
    }
    throw new Error(`nothing is mapped at ${address}`)
  }

  /** An application's request; it waits while no server takes it. */
  request(id: number, request: FakeRequest): Promise<FakeAnswer> {
    const device = this.devices.get(id)
    if (device === undefined || device.info.state === State.Dead)
      return Promise.resolve({ result: -ENODEV, data: new Uint8Array(0) })
    return new Promise((resolve) => {
      device.waiting.push({ request, resolve })
      this.dispatch(device)
    })
  }

  dispatch(device: FakeDevice): void {
    if (device.canceling || device.info.state !== State.Live) return
    for (const [queue, tags] of device.tags.entries()) {
      for (const [tag, slot] of tags.entries()) {
        if (slot.ring === undefined || device.waiting.length === 0) continue
        const pending = device.waiting.shift() as Pending
        const { op, flags = 0, offset = 0, length = 0, data } = pending.request
        const view = new DataView((device.descriptors[queue] as Uint8Array).buffer)
        view.setUint32(tag * 24, op | flags, true)
        view.setUint32(tag * 24 + 4, length / 512, true)
        view.setBigUint64(tag * 24 + 8, BigInt(offset) / 512n, true)
        if (data !== undefined) this.at(slot.address, data.length).set(data)
        const { ring } = slot
        slot.ring = undefined
        slot.request = pending
        ring.complete(slot.userData, 0)
      }
    }
  }

  /** What the driver does when its server has gone: everything waits for the next one. */
  abandoned(device: FakeDevice): void {
    device.owner = undefined
    for (const slot of device.tags.flat()) {
      if (slot.request !== undefined) device.waiting.push(slot.request)
      slot.ring = undefined
      slot.request = undefined
    }
    if (device.info.state === State.Live) device.info = { ...device.info, state: State.Quiesced }
  }

  cancel(device: FakeDevice): void {
    for (const slot of device.tags.flat()) {
      const { ring } = slot
      slot.ring = undefined
      ring?.complete(slot.userData, -ENODEV)
    }
  }

  /** Stops a device; it waits for the requests that the server has. */
  async stop(device: FakeDevice): Promise<void> {
    if (device.info.state !== State.Dead) {
      // Without recovery the disk is removed as any other: what is cached is written first.
      const recovery = (device.info.flags & Flag.UserRecovery) !== 0
      if (recovery) device.canceling = true
      const busy = (): boolean =>
        device.tags.flat().some((slot) => slot.request !== undefined) || (!recovery && device.waiting.length > 0)
      while (device.info.state === State.Live && busy()) await turn()
      for (const { resolve } of device.waiting.splice(0)) resolve({ result: -5, data: new Uint8Array(0) })
      device.info = { ...device.info, state: State.Dead }
    }
    this.cancel(device)
  }
}

/** Lets everything that is due run. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** A process on that kernel. */
export class FakeProcess implements UblkSystem {
  readonly pid: number
  readonly pageSize = PAGE
  readonly release = '6.99.0-fake'
  readonly kernel: FakeKernel
  readonly rings = new Set<FakeRing>()
  readonly files = new Map<number, string>()
  readonly guards: string[] = []
  missing = false
  openError: Error | undefined
  ringError: Error | undefined
  /** For all but small memory. */
  memoryError: Error | undefined
  settings: Record<string, string> = {}
  #nextFd = 10

  constructor(kernel: FakeKernel, pid: number) {
    this.kernel = kernel
    this.pid = pid
  }

  /** The end of a process without a word. */
  kill(): void {
    this.kernel.alive.delete(this.pid)
    for (const ring of this.rings) ring.close()
    for (const fd of [...this.files.keys()]) this.close(fd)
  }

  open(path: string): number {
    if (this.openError !== undefined) throw this.openError
    if (this.missing) throw Object.assign(new Error('missing'), { code: 'ENOENT' })
    const id = /^\/dev\/ublkc(\d+)$/.exec(path)?.[1]
    if (id !== undefined) {
      const device = this.kernel.devices.get(Number(id))
      if (device === undefined) throw Object.assign(new Error('missing'), { code: 'ENOENT' })
      if (device.owner !== undefined) throw Object.assign(new Error('busy'), { code: 'EBUSY' })
      device.owner = this
    }
    const fd = this.#nextFd++
    this.files.set(fd, path)
    return fd
  }

  close(fd: number): void {
    const id = /^\/dev\/ublkc(\d+)$/.exec(this.files.get(fd) ?? '')?.[1]
    this.files.delete(fd)
    this.kernel.open.delete(Number(id ?? -1))
    const device = this.kernel.devices.get(Number(id ?? -1))
    if (device?.owner === this) this.kernel.abandoned(device)
  }

  deviceOf(fd: number): FakeDevice | undefined {
    return this.kernel.devices.get(Number(/^\/dev\/ublkc(\d+)$/.exec(this.files.get(fd) ?? '')?.[1] ?? -1))
  }

  ring(entries: number, wide: boolean, onCompletions: () => void): CommandRing {
    if (this.ringError !== undefined) throw this.ringError
    const ring = new FakeRing(this, entries, wide, onCompletions)
    this.rings.add(ring)
    return ring
  }

  memory(length: number): Memory {
    if (this.memoryError !== undefined && length > 64 * 1024) throw this.memoryError
    return this.kernel.map(length)
  }

  descriptors(fd: number, offset: number, length: number): Memory {
    const device = this.deviceOf(fd) as FakeDevice
    const queue = device.descriptors.findIndex((_, number) => descriptorOffset(number, PAGE) === offset)
    const bytes = device.descriptors[queue]
    if (bytes === undefined || length !== descriptorBytes(device.info.depth, PAGE)) throw new Error('wrong mapping')
    return { buffer: bytes.buffer as ArrayBuffer, address: 1, unmap: () => {} }
  }

  readonly kept: string[] = []

  keepRings(fds: readonly number[]) {
    this.kept.push(`keep ${fds.length}`)
    return { release: (when: string) => void this.kept.push(`release ${when}`) }
  }

  devices = async (): Promise<number[]> => [...this.kernel.devices.keys()]
  isAlive = (pid: number): boolean => this.kernel.alive.has(pid)
  loadModule = async (): Promise<boolean> => false
  setting = (path: string): string => this.settings[path] ?? ''
  setIoTimeout = async (): Promise<void> => {}
  users = async (): Promise<string[]> => this.kernel.users
  settle = async (): Promise<void> => {}
  readRecord = async (kname: string): Promise<NodeRecord | undefined> => this.kernel.records.get(kname)
  isServed = ({ pid }: NodeRecord): boolean => this.kernel.alive.has(pid)

  async hold() {
    const { kernel } = this
    const { syncError } = kernel
    let held = true
    kernel.held++
    return {
      sync: () => (syncError === undefined ? Promise.resolve() : Promise.reject(syncError)),
      release: async () => {
        if (held) kernel.held--
        held = false
      },
    }
  }

  async claim(name: string) {
    const holder = this.kernel.claims.get(name)
    if (holder !== undefined && this.kernel.alive.has(holder)) return holder
    this.kernel.claims.set(name, this.pid)
    return async () => void this.kernel.claims.delete(name)
  }

  async writeRecord(kname: string, names: { name: string; volume: string }): Promise<void> {
    this.kernel.records.set(kname, { ...names, pid: this.pid, started: '1' })
  }

  async removeRecord(kname: string): Promise<void> {
    this.kernel.records.delete(kname)
  }

  guard(entry: string) {
    this.guards.push(entry)
    return { forget: () => void this.guards.splice(this.guards.indexOf(entry), 1) }
  }
}

export class FakeRing implements CommandRing {
  readonly fd = 3
  readonly words: Uint32Array
  readonly process: FakeProcess
  readonly #entries: number
  readonly #stride: number
  readonly #onCompletions: () => void
  readonly #completions: [number, number][] = []
  #filled = 0
  #woken = false
  closed = false

  constructor(process: FakeProcess, entries: number, wide: boolean, onCompletions: () => void) {
    this.process = process
    this.#entries = entries
    this.#stride = wide ? 32 : 16
    this.words = new Uint32Array(entries * this.#stride)
    this.#onCompletions = onCompletions
  }

  next(): number {
    if (this.#filled === this.#entries) return -1
    const at = this.#filled++ * this.#stride
    this.words.fill(0, at, at + this.#stride)
    return at
  }

  submit(): void {
    if (this.#stride === 16) this.process.kernel.enters++
    const count = this.#filled
    this.#filled = 0
    for (let entry = 0; entry < count; entry++) {
      const words = this.words.slice(entry * this.#stride, (entry + 1) * this.#stride)
      if (words[0] !== OP_URING_CMD) throw new Error('not a command')
      if (this.#stride === 32) void this.#control(words)
      else this.#queue(words)
    }
  }

  drain(handler: (userData: number, result: number, flags: number) => void): number {
    const all = this.#completions.splice(0)
    for (const [userData, result] of all) if (!this.closed) handler(userData, result, 0)
    return all.length
  }

  ref(): void {}
  unref(): void {}

  close(): void {
    this.closed = true
    this.process.rings.delete(this)
  }

  complete(userData: number, result: number): void {
    this.#completions.push([userData, result])
    if (this.#woken) return
    this.#woken = true
    setImmediate(() => {
      this.#woken = false
      if (!this.closed) this.#onCompletions()
    })
  }

  #queue(words: Uint32Array): void {
    const device = this.process.deviceOf(words[1] as number) as FakeDevice
    const { kernel } = this.process
    const legacy = kernel.features === undefined
    const fetch = legacy ? legacyOpcode(QueueCommand.Fetch) : QueueCommand.Fetch
    const commit = legacy ? legacyOpcode(QueueCommand.CommitAndFetch) : QueueCommand.CommitAndFetch
    const slot = device.tags[(words[12] as number) & 0xffff]?.[(words[12] as number) >>> 16]
    const refused = slot === undefined || slot.ring !== undefined || ![fetch, commit].includes(words[2] as number)
    if (refused || (words[2] === commit) !== (slot.request !== undefined)) {
      this.complete(words[8] as number, -EINVAL)
      return
    }
    slot.ring = this
    slot.userData = words[8] as number
    slot.address = (words[14] as number) + (words[15] as number) * 2 ** 32
    if (slot.request !== undefined) {
      const { request, resolve } = slot.request
      const result = (words[13] as number) | 0
      slot.request = undefined
      const length = request.op === Operation.Read && result > 0 ? result : 0
      resolve({ result, data: length === 0 ? new Uint8Array(0) : kernel.at(slot.address, length).slice() })
    }
    if (device.tags.flat().every((one) => one.ring !== undefined)) for (const go of device.starting.splice(0)) go()
    kernel.dispatch(device)
  }

  async #control(words: Uint32Array): Promise<void> {
    const { kernel } = this.process
    const known = Object.values(Command).find(
      (one) => (kernel.features === undefined ? legacyOpcode(one) : one) === words[2],
    )
    const slot = words[8] as number
    if (known === undefined) {
      this.complete(slot, -ENODEV)
      return
    }
    const name = commandName(known)
    kernel.log.push(name)
    const refusal = kernel.refusals.get(name)
    const result = refusal === undefined ? await this.#run(known, words) : -refusal
    if (!this.closed) this.complete(slot, result)
  }

  async #run(command: number, words: Uint32Array): Promise<number> {
    const { kernel, pid } = this.process
    const pathLength = (words[18] as number) & 0xffff
    const length = (words[13] as number) >>> 16
    const address = (words[14] as number) + (words[15] as number) * 2 ** 32
    const data = (words[16] as number) + (words[17] as number) * 2 ** 32
    const payload = length === 0 ? new Uint8Array(0) : kernel.at(address, length).subarray(pathLength)
    if (command === Command.GetFeatures) {
      if (kernel.features === undefined) return -ENODEV
      new DataView(payload.buffer, payload.byteOffset).setUint32(0, kernel.features, true)
      return 0
    }
    if (command === Command.AddDevice) return addDevice(kernel, payload)
    const device = kernel.devices.get(words[12] as number)
    if (device === undefined) return -ENODEV
    switch (command) {
      case Command.GetInfo2:
      case Command.GetInfo:
        if (payload.length !== INFO_BYTES) return -EINVAL
        payload.set(encodeInfo(device.info))
        return 0
      case Command.SetParameters:
        device.parameters = payload.slice()
        return 0
      case Command.GetParameters:
        if (payload.length !== PARAMETERS_BYTES) return -EINVAL
        payload.set(device.parameters)
        return 0
      case Command.StartDevice:
      case Command.EndRecovery:
        if (data !== pid) return -EINVAL
        if (!device.tags.flat().every((one) => one.ring !== undefined)) {
          await new Promise<void>((resolve) => device.starting.push(resolve))
        }
        device.info = { ...device.info, state: State.Live, pid }
        kernel.dispatch(device)
        return 0
      case Command.StartRecovery:
        if (device.owner !== undefined || device.info.state !== State.Quiesced) return -EBUSY
        device.canceling = false
        return 0
      case Command.StopDevice:
        await kernel.stop(device)
        return 0
      case Command.DeleteDevice:
      case Command.DeleteDeviceAsync:
        await kernel.stop(device)
        kernel.devices.delete(device.info.id)
        if (device.owner !== undefined) kernel.open.add(device.info.id)
        while (command === Command.DeleteDevice && kernel.held > 0) await turn()
        return 0
      case Command.UpdateSize:
        new DataView(device.parameters.buffer).setBigUint64(24, BigInt(data), true)
        return 0
      case Command.QuiesceDevice:
        device.canceling = true
        kernel.cancel(device)
        return 0
      default:
        return -EOPNOTSUPP
    }
  }
}

function addDevice(kernel: FakeKernel, payload: Uint8Array): number {
  const asked = decodeInfo(payload)
  let id = 0
  while (kernel.devices.has(id) || kernel.open.has(id)) id++
  const known = kernel.features ?? Flag.UserRecovery | Flag.UserRecoveryReissue
  const info = { ...asked, id, state: State.Dead, flags: asked.flags & known, queues: Math.min(asked.queues, 2) }
  const tag = (): Tag => ({ ring: undefined, userData: 0, address: 0, request: undefined })
  kernel.devices.set(id, {
    info,
    parameters: new Uint8Array(0),
    tags: Array.from({ length: info.queues }, () => Array.from({ length: info.depth }, tag)),
    descriptors: Array.from({ length: info.queues }, () => new Uint8Array(descriptorBytes(info.depth, PAGE))),
    waiting: [],
    owner: undefined,
    canceling: false,
    starting: [],
  })
  payload.set(encodeInfo(info))
  return 0
}
