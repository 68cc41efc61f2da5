import type { Host } from '../clock.ts'
import { systemHost } from '../clock.ts'
import type { Closing } from '../closing.ts'
import { closing, orAborted } from '../closing.ts'
import type { Emitter } from '../emitter.ts'
import { createEmitter } from '../emitter.ts'
import { BlockError } from '../errors.ts'
import type { MultipathDevice } from '../multipath/multipath-device.ts'
import type { MultipathOptions } from '../multipath/options.ts'
import type { PathSource } from '../multipath/path-source.ts'
import type { BlockDevicePair } from '../pair.ts'
import type { PathSelector } from '../policy.ts'
import { resolveRates } from '../rates/rates.ts'
import type { SignalOptions } from '../signal.ts'
import type { Target } from '../target.ts'
import type { DetachMode, DetachOptions } from '../transport.ts'
import type { UserDevice } from '../user-device.ts'
import { FrontDevice } from '../user-device.ts'
import type { VolumeId } from '../volume-id.ts'
import { createDebts } from './debts.ts'
import { Discovery } from './discovery.ts'
import { listDevices, volumeOf } from './inventory.ts'
import { joinRules } from './join-rules.ts'
import { OpenDevices } from './open-devices.ts'
import { makePair } from './pair.ts'
import type { Place } from './turns.ts'
import { Procession, VolumeTurns } from './turns.ts'
import type {
  DeviceInfo,
  HostAgent,
  HostAgentEvents,
  HostAgentOptions,
  Missing,
  PairSpec,
  ScanError,
  ScanReport,
} from './types.ts'

const NAME = /^[A-Za-z0-9._:-]{1,128}$/

/** Makes a host agent. It asks the targets nothing until the first `rescan`, `open` or `pair`. */
export function createHostAgent(options: HostAgentOptions): HostAgent {
  return new Agent(options)
}

class Agent implements HostAgent {
  readonly targets: readonly Target[]
  readonly events: Emitter<HostAgentEvents> = createEmitter()
  #host: Host
  #discovery: Discovery
  #devices: OpenDevices
  /** By name, in the order in which they were asked for; undefined while one is being made. */
  #pairs = new Map<string, BlockDevicePair | undefined>()
  #deviceOf = new WeakMap<BlockDevicePair, string>()
  #turns: VolumeTurns
  #procession: Procession
  #stop = new AbortController()
  #mode: DetachMode | undefined
  #closing: Closing = closing((options) => this.#end(options))

  constructor({ targets, host = systemHost, ledger, same, distinct, expected = [] }: HostAgentOptions) {
    const names = targets.map(({ name }) => name)
    const twice = names.find((name, index) => names.indexOf(name) !== index)
    if (twice !== undefined) throw new TypeError(`two targets are named "${twice}"; each needs a name of its own`)
    this.targets = targets
    this.#host = host
    this.#turns = new VolumeTurns(host.clock)
    this.#procession = new Procession(host.clock)
    const stop = this.#stop.signal
    this.#devices = new OpenDevices({
      host,
      ledger,
      debts: createDebts(ledger, (path) => this.#targetsFor(path), host, stop),
      stop,
      offered: (id) => this.#discovery.sources(id),
      changed: () => this.#discovery.plan(),
    })
    this.#discovery = new Discovery({
      targets,
      host,
      rules: joinRules(same, distinct),
      expected,
      stop,
      open: this.#devices.byId,
      held: () => this.#devices.held(),
      found: () => this.#devices.follow(),
      tell: (report) => this.events.emit('rescanned', report),
    })
  }

  get pairs(): readonly BlockDevicePair[] {
    return [...this.#pairs.values()].filter((pair) => pair !== undefined)
  }

  get missing(): readonly Missing[] {
    return this.#closing.begun ? [] : this.#discovery.missing
  }

  get refused(): readonly ScanError[] {
    return this.#closing.begun ? [] : this.#discovery.joined.errors
  }

  devices(): readonly DeviceInfo[] {
    return listDevices(this.#discovery.inventory, this.#discovery.joined.volumes)
  }

  async rescan(options?: SignalOptions): Promise<ScanReport> {
    return this.#discovery.rescan(this.#signalOf(options))
  }

  async open(id: string, options: SignalOptions & { multipath?: MultipathOptions } = {}): Promise<UserDevice> {
    const signal = this.#signalOf(options)
    return this.#inTurn(id, signal, async () => {
      const device = await this.#use(id, undefined, options.multipath, signal)
      return this.#front(id, device)
    })
  }

  async pair(spec: PairSpec, options: SignalOptions = {}): Promise<BlockDevicePair> {
    const signal = this.#signalOf(options)
    const { name } = spec
    if (!NAME.test(name)) {
      throw new TypeError(`name is "${name}"; it must be 1 to 128 of the characters A-Z a-z 0-9 . _ - :`)
    }
    resolveRates(spec.rates)
    if (this.#pairs.has(name)) throw new BlockError('IN_USE', `there is a pair named ${name} already`)
    this.#pairs.set(name, undefined)
    const place = this.#procession.enter()
    try {
      return await this.#inTurn(spec.device, signal, () => this.#pair(spec, place, signal))
    } finally {
      place.leave()
      // What was called off may still be on its way to its end.
      if (this.#pairs.get(name) === undefined) this.#pairs.delete(name)
    }
  }

  async #pair(spec: PairSpec, place: Place, signal: AbortSignal): Promise<BlockDevicePair> {
    if (spec.shared !== true) await this.#refuseSecond(spec.device, signal)
    const device = await this.#use(spec.device, spec.selector, spec.multipath, signal)
    const user = this.#front(spec.device, device)
    user.setRates(spec.rates)
    let pair: BlockDevicePair | undefined
    try {
      await place.turn()
      const { clock } = this.#host
      pair = await makePair(spec, device, user, clock, signal, () => this.#pairs.delete(spec.name))
      // A device that others use gets the new policy only once nothing can go wrong any more.
      if (this.#devices.usersOf(device) > 1 && spec.selector !== undefined) pair.setSelector(spec.selector)
      signal.throwIfAborted()
    } catch (error) {
      await (pair ?? user).close({ signal })
      throw error
    }
    this.#pairs.set(spec.name, pair)
    this.#deviceOf.set(pair, spec.device)
    return pair
  }

  /**
   * Rejects with IN_USE where a pair leads to the volume of a device already, through another device: between the two
   * there would be no order.
   */
  async #refuseSecond(id: string, signal: AbortSignal): Promise<void> {
    const volume = await this.#volumeOf(id, signal)
    const other = this.pairs.find((pair) => pair.volume === volume && this.#deviceOf.get(pair) !== id)
    if (other === undefined) return
    const text = `${id === volume ? volume : `${id} leads to ${volume}, which`} is paired already, as ${other.id}`
    throw new BlockError('IN_USE', `${text}: close that pair, or set shared where two are meant`)
  }

  #signalOf(options: SignalOptions | undefined): AbortSignal {
    if (this.#closing.begun) throw new BlockError('CLOSED', 'the agent is closed')
    const asked = options?.signal
    return asked === undefined ? this.#stop.signal : AbortSignal.any([asked, this.#stop.signal])
  }

  async #volumeOf(id: string, signal: AbortSignal): Promise<VolumeId> {
    return this.#devices.byId.get(id)?.volume ?? volumeOf((await this.#sources(id, signal))[0])
  }

  /** Control calls of one volume are done one at a time, in their order; those of others do not wait for them. */
  async #inTurn<Result>(id: string, signal: AbortSignal, work: () => Promise<Result>): Promise<Result> {
    for (;;) {
      const volume = await this.#volumeOf(id, signal)
      const done = await this.#turns.run(
        volume,
        // While it waited, the id may have come to lead elsewhere.
        async () => ((await this.#volumeOf(id, signal)) === volume ? { result: await work() } : undefined),
        signal,
      )
      if (done !== undefined) return done.result
    }
  }

  async #use(
    id: string,
    selector: (() => PathSelector) | undefined,
    multipath: MultipathOptions | undefined,
    signal: AbortSignal,
  ): Promise<MultipathDevice> {
    const open = this.#devices.byId.get(id)
    if (open !== undefined) return this.#devices.share(open)
    return this.#devices.open(id, await this.#sources(id, signal), selector, multipath, signal)
  }

  /** The one that offers a path first. */
  #targetsFor(path: string): readonly Target[] {
    const offers = this.#discovery.inventory.get(path)?.target
    return offers === undefined ? this.targets : [offers, ...this.targets.filter((target) => target !== offers)]
  }

  /** The paths behind a device id, one at least. Rejects with NOT_FOUND. */
  async #sources(id: string, signal: AbortSignal): Promise<[PathSource, ...PathSource[]]> {
    if (this.#discovery.sources(id).length === 0) await this.#discovery.look(id, signal)
    const [first, ...others] = this.#discovery.sources(id)
    if (first === undefined) {
      const refused = this.#discovery.joined.errors.find(({ volume }) => volume === id)
      if (refused !== undefined) throw refused.error
      throw new BlockError('NOT_FOUND', `no target offers a volume or path ${id}; rescan lists what there is`)
    }
    return [first, ...others]
  }

  #front(id: string, device: MultipathDevice): FrontDevice {
    return new FrontDevice(device, this.#host.clock, (options) => this.#devices.release(id, device, options))
  }

  close(options: DetachOptions = {}): Promise<void> {
    this.#mode ??= options.mode
    return this.#closing.close(options)
  }

  async #end(options: { signal: AbortSignal }): Promise<void> {
    this.#discovery.close()
    this.#stop.abort(new BlockError('CLOSED', 'the agent is closed'))
    await orAborted(this.#turns.idle(), options.signal).catch(() => {})
    const pairs = await Promise.allSettled(this.pairs.map((pair) => this.#endPair(pair, options.signal)))
    const devices = await Promise.allSettled(Array.from(this.#devices.byId.values(), (device) => device.close(options)))
    this.#devices.byId.clear()
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
