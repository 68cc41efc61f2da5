import PQueue from 'p-queue'
import type { Host, Timer } from '../clock.ts'
import { delay, systemHost } from '../clock.ts'
import type { Closing } from '../closing.ts'
import { closing, orAborted } from '../closing.ts'
import type { SignalOptions } from '../device.ts'
import type { Emitter } from '../emitter.ts'
import { createEmitter } from '../emitter.ts'
import { BlockError } from '../errors.ts'
import type { Ledger } from '../ledger.ts'
import type { Owed } from '../multipath/guard.ts'
import type { MultipathDevice } from '../multipath/multipath-device.ts'
import { openMultipath } from '../multipath/multipath-device.ts'
import type { MultipathOptions } from '../multipath/options.ts'
import type { PathSource } from '../multipath/path-slot.ts'
import type { BlockDevicePair } from '../pair.ts'
import type { PathSelector } from '../policy.ts'
import type { Target } from '../target.ts'
import type { DetachMode, DetachOptions } from '../transport.ts'
import type { UserDevice } from '../user-device.ts'
import { userDevice } from '../user-device.ts'
import type { VolumeId } from '../volume-id.ts'
import type { Debts, Inherited } from './debts.ts'
import { createDebts } from './debts.ts'
import type { Inventory } from './inventory.ts'
import { listDevices, scan, sourcesOf, volumeOf } from './inventory.ts'
import type { JoinRules } from './join-rules.ts'
import { joinRules } from './join-rules.ts'
import type { Joined } from './joins.ts'
import { joinPaths } from './joins.ts'
import { makePair } from './pair.ts'
import type { DeviceInfo, HostAgent, HostAgentEvents, HostAgentOptions, PairSpec, ScanReport } from './types.ts'

const NAME = /^[A-Za-z0-9._:-]{1,128}$/

// A device that is opened again waits that long for the fences of the last one, before it holds I/O for them, ms.
const FENCE_WAIT = 5000

// News of one change come in bursts, one per path; milliseconds.
const RESCAN_DELAY = 50

/** Makes a host agent. It asks the targets nothing until the first `rescan`, `open` or `pair`. */
export function createHostAgent(options: HostAgentOptions): HostAgent {
  const { targets, host = systemHost, ledger, same, distinct } = options
  return new Agent(targets, host, ledger, joinRules(same, distinct))
}

interface OpenDevice {
  readonly device: MultipathDevice
  users: number
}

class Agent implements HostAgent {
  readonly targets: readonly Target[]
  readonly events: Emitter<HostAgentEvents> = createEmitter()
  #host: Host
  #inventory: Inventory | undefined
  #rules: JoinRules
  #joined: Joined = { volumes: new Map(), errors: [] }
  #open = new Map<string, OpenDevice>()
  #pairs = new Map<string, BlockDevicePair>()
  #deviceOf = new WeakMap<BlockDevicePair, string>()
  #control = new PQueue({ concurrency: 1 })
  #rescan: Timer | undefined
  #stop = new AbortController()
  #scanned = false
  // Closed, and not all of their paths fenced.
  #unfenced = new Set<MultipathDevice>()
  #ledger: Ledger | undefined
  #debts: Debts
  #stopListening: (() => void)[] = []
  #mode: DetachMode | undefined
  #closing: Closing = closing((options) => this.#end(options))

  constructor(targets: readonly Target[], host: Host, ledger: Ledger | undefined, rules: JoinRules) {
    const names = targets.map(({ name }) => name)
    const twice = names.find((name, index) => names.indexOf(name) !== index)
    if (twice !== undefined) throw new TypeError(`two targets are named "${twice}"; each needs a name of its own`)
    this.targets = targets
    this.#host = host
    this.#ledger = ledger
    this.#debts = createDebts(ledger, (path) => this.#targetsFor(path), host, this.#stop.signal)
    this.#rules = rules
    for (const { events } of targets) {
      if (events === undefined) continue
      const onChanged = (): void => this.#rescanSoon()
      events.on('changed', onChanged)
      this.#stopListening.push(() => events.off('changed', onChanged))
    }
  }

  get pairs(): readonly BlockDevicePair[] {
    return [...this.#pairs.values()]
  }

  devices(): readonly DeviceInfo[] {
    return listDevices(this.#inventory ?? new Map(), this.#joined.volumes)
  }

  rescan(options?: SignalOptions): Promise<ScanReport> {
    return this.#inTurn((signal) => this.#scan(signal), options?.signal)
  }

  open(id: string, options: SignalOptions & { multipath?: MultipathOptions } = {}): Promise<UserDevice> {
    return this.#inTurn(async (signal) => {
      const { device } = await this.#use(id, undefined, options.multipath, signal)
      return this.#front(id, device)
    }, options.signal)
  }

  pair(spec: PairSpec, options: SignalOptions = {}): Promise<BlockDevicePair> {
    return this.#inTurn(async (signal) => {
      if (!NAME.test(spec.name)) {
        throw new TypeError(`name is "${spec.name}"; it must be 1 to 128 of the characters A-Z a-z 0-9 . _ - :`)
      }
      if (this.#pairs.has(spec.name)) throw new BlockError('IN_USE', `there is a pair named ${spec.name} already`)
      if (spec.shared !== true) await this.#refuseSecond(spec.device, signal)
      const { device, users } = await this.#use(spec.device, spec.selector, spec.multipath, signal)
      const user = this.#front(spec.device, device)
      let pair: BlockDevicePair | undefined
      try {
        pair = await makePair(spec, device, user, signal, ({ id }) => this.#pairs.delete(id))
        // A device that others use gets the new policy only once nothing can go wrong any more.
        if (users > 1 && spec.selector !== undefined) pair.setSelector(spec.selector)
      } catch (error) {
        await (pair ?? user).close({ signal })
        throw error
      }
      this.#pairs.set(spec.name, pair)
      this.#deviceOf.set(pair, spec.device)
      return pair
    }, options.signal)
  }

  /**
   * Rejects with IN_USE where a pair leads to the volume of a device already, through another device: between the two
   * there would be no order.
   */
  async #refuseSecond(id: string, signal: AbortSignal): Promise<void> {
    const volume = this.#open.get(id)?.device.volume ?? volumeOf((await this.#sources(id, signal))[0])
    const other = this.pairs.find((pair) => pair.volume === volume && this.#deviceOf.get(pair) !== id)
    if (other === undefined) return
    const text = `${id === volume ? volume : `${id} leads to ${volume}, which`} is paired already, as ${other.id}`
    throw new BlockError('IN_USE', `${text}: close that pair, or set shared where two are meant`)
  }

  /** Control calls change one inventory and one set of devices: one at a time, in their order. */
  #inTurn<Result>(work: (signal: AbortSignal) => Promise<Result>, asked: AbortSignal | undefined): Promise<Result> {
    if (this.#closing.begun) return Promise.reject(new BlockError('CLOSED', 'the agent is closed'))
    const signal = asked === undefined ? this.#stop.signal : AbortSignal.any([asked, this.#stop.signal])
    return this.#control.add(() => work(signal), { signal })
  }

  #rescanSoon(): void {
    if (this.#rescan !== undefined || this.#closing.begun || !this.#scanned) return
    this.#rescan = this.#host.clock.after(RESCAN_DELAY, () => {
      // The next news may ask again once this scan has begun, not before.
      this.#inTurn((signal) => {
        this.#rescan = undefined
        return this.#scan(signal)
      }, undefined).then(
        (report) => this.events.emit('rescanned', report),
        // Closed meanwhile: targets that cannot be asked are in the report.
        () => {},
      )
    })
  }

  async #scan(signal: AbortSignal | undefined): Promise<ScanReport> {
    this.#scanned = true
    const { inventory, report } = await scan(this.targets, this.#inventory ?? new Map(), signal, this.#host.clock)
    this.#inventory = inventory
    const open = Array.from(
      this.#open,
      ([id, { device }]) => [id, new Set(device.paths.map((path) => path.id))] as const,
    )
    this.#joined = joinPaths(inventory.values(), this.#rules, new Map(open))
    for (const [id, { device }] of this.#open) this.#follow(id, device)
    return { ...report, errors: [...report.errors, ...this.#joined.errors] }
  }

  #sourcesOf(id: string): readonly PathSource[] {
    return sourcesOf(this.#inventory ?? new Map(), this.#joined.volumes, id)
  }

  #follow(id: string, device: MultipathDevice): void {
    const sources = this.#sourcesOf(id).filter((source) => volumeOf(source) === device.volume)
    const offered = new Set(sources.map(({ info }) => info.id))
    for (const path of device.paths) {
      // Not awaited: a fence may take long, and the scan has nothing to gain from it.
      if (!offered.has(path.id)) void device.removePath(path.id)
    }
    for (const source of sources) device.addPath(source)
  }

  async #use(
    id: string,
    selector: (() => PathSelector) | undefined,
    multipath: MultipathOptions | undefined,
    signal: AbortSignal | undefined,
  ): Promise<OpenDevice> {
    const open = this.#open.get(id)
    if (open !== undefined) {
      open.users++
      return open
    }
    const sources = await this.#sources(id, signal)
    const volume = volumeOf(sources[0])
    const { owed, begin } = await orAborted(this.#owed(volume), signal)
    const [host, ledger] = [this.#host, this.#ledger]
    const device = await openMultipath(volume, sources, { selector, multipath, signal, host, ledger, owed })
    begin()
    const made = { device, users: 1 }
    this.#open.set(id, made)
    return made
  }

  /** What holds I/O of a volume: what processes before have left, and devices of this one that were closed. */
  async #owed(volume: VolumeId): Promise<Inherited> {
    const own = await this.#ownDebts(volume)
    const { owed, begin } = await this.#debts.of(volume, this.#stop.signal)
    return { owed: [...own, ...owed], begin }
  }

  async #ownDebts(volume: VolumeId): Promise<readonly Owed[]> {
    const closed = [...this.#unfenced].filter((device) => device.volume === volume)
    if (closed.length === 0) return []
    const over = new AbortController()
    const waited = delay(this.#host.clock, FENCE_WAIT, AbortSignal.any([over.signal, this.#stop.signal]))
    await Promise.race([Promise.all(closed.map(({ fenced }) => fenced)), waited])
    over.abort()
    const before = closed.filter((device) => this.#unfenced.has(device))
    return (await Promise.all(before.map((device) => device.leaves()))).flat()
  }

  /** The one that offers a path first. */
  #targetsFor(path: string): readonly Target[] {
    const offers = this.#inventory?.get(path)?.target
    return offers === undefined ? this.targets : [offers, ...this.targets.filter((target) => target !== offers)]
  }

  /** The paths behind a device id, one at least. Rejects with NOT_FOUND. */
  async #sources(id: string, signal: AbortSignal | undefined): Promise<[PathSource, ...PathSource[]]> {
    if (this.#sourcesOf(id).length === 0) await this.#scan(signal)
    const [first, ...others] = this.#sourcesOf(id)
    if (first === undefined) {
      const refused = this.#joined.errors.find(({ volume }) => volume === id)
      if (refused !== undefined) throw refused.error
      throw new BlockError('NOT_FOUND', `no target offers a volume or path ${id}; rescan lists what there is`)
    }
    return [first, ...others]
  }

  #front(id: string, device: MultipathDevice): UserDevice {
    return userDevice(device, this.#host.clock, (options) => this.#release(id, options))
  }

  async #release(id: string, options: SignalOptions | undefined): Promise<void> {
    const open = this.#open.get(id)
    if (open === undefined) return
    open.users--
    // Its own Ios must be done before it is told so; which of them are its own nobody knows.
    if (open.users > 0) return orAborted(open.device.settled(), options?.signal)
    this.#open.delete(id)
    const { device } = open
    this.#unfenced.add(device)
    void device.fenced.then(() => this.#unfenced.delete(device))
    await device.close(options)
  }

  close(options: DetachOptions = {}): Promise<void> {
    this.#mode ??= options.mode
    return this.#closing.close(options)
  }

  async #end(options: { signal: AbortSignal }): Promise<void> {
    for (const stop of this.#stopListening) stop()
    this.#rescan?.cancel()
    this.#stop.abort(new BlockError('CLOSED', 'the agent is closed'))
    await orAborted(this.#control.onIdle(), options.signal).catch(() => {})
    const pairs = await Promise.allSettled(this.pairs.map((pair) => this.#endPair(pair, options.signal)))
    const devices = await Promise.allSettled(Array.from(this.#open.values(), ({ device }) => device.close(options)))
    this.#open.clear()
    const targets = await Promise.allSettled(this.targets.map((target) => target.close(options)))
    const errors = [...pairs, ...devices, ...targets].flatMap((end) => (end.status === 'rejected' ? [end.reason] : []))
    if (errors.length > 0) throw errors[0]
  }

  async #endPair(pair: BlockDevicePair, signal: AbortSignal): Promise<void> {
    try {
      await pair.close({ signal, mode: this.#mode })
    } catch (error) {
      if (!BlockError.is(error) || error.code !== 'IN_USE') throw error
      await pair.close({ signal, mode: 'leave' })
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
