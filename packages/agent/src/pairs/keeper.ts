import type { BlockDevicePair, Host, HostAgent, KernelNode, Transport } from '@blockbraid/core'
import { BlockError, messageOf } from '@blockbraid/core'
import type { Config, DeviceConfig } from '../config/config.ts'
import { fillInAll } from '../config/placeholders.ts'
import type { Hider } from '../config/secrets.ts'
import { ConfigError } from '../config/source.ts'
import type { Log } from '../log/log.ts'
import type { Telling } from '../log/telling.ts'
import type { NodeCare } from '../nodes/care.ts'
import { takeOverTime } from '../nodes/kernel-node.ts'
import { leftNodes } from '../nodes/left-nodes.ts'
import { planNamed } from '../plan/naming.ts'
import { planPairs } from '../plan/pairing.ts'
import type { PlannedPair, PresentPair } from '../plan/plan.ts'
import { needsRecord } from '../plan/plan.ts'
import type { Loaded } from '../plugins/loaded.ts'
import { probePolicy } from '../plugins/policy-probe.ts'
import type { NameRecord } from '../state/name-record.ts'
import { forgetCommand } from '../state/name-record.ts'
import type { Names } from '../state/names.ts'
import { closePair } from './close-pair.ts'
import { reportEvents } from './notices.ts'
import { createRetry } from './retry.ts'
import type { TransportPool } from './transports.ts'

/** A pair that could not be made. */
export interface PairFailure {
  readonly name: string
  readonly error: Error
  /** Whether its volume cannot be opened now; else something is wrong here that waiting does not cure. */
  readonly passing: boolean
  /** `clock.now()` when it failed first, µs. */
  readonly since: number
}

/** A pair that is being made. */
export interface Making {
  readonly name: string
  /** Resolves to why it could not be made; never rejects. */
  readonly ended: Promise<PairFailure | undefined>
}

/** What was begun of a plan. */
export interface Begun {
  readonly makings: readonly Making[]
  /** One for each device that a config wants and that must not be paired. */
  readonly refusals: readonly Error[]
  /** Why names cannot be read or kept. */
  readonly fault: Error | undefined
}

/** What a {@link Keeper} is made of. */
export interface KeeperParts {
  readonly config: Config
  readonly loaded: ReadonlyMap<DeviceConfig, Loaded>
  readonly agent: HostAgent
  readonly host: Host
  readonly hider: Hider
  readonly log: Log
  readonly telling: Telling
  readonly names: Names
  readonly state: string | false
  readonly transports: TransportPool
  readonly care: NodeCare
  readonly signal: AbortSignal
}

/** Makes the pairs that a config wants, and makes again those that failed, or whose node was taken away. */
export interface Keeper {
  /** Begins to make what is wanted and is not there. `isStart`: throws where names cannot be kept and nothing is held. */
  begin(isStart?: boolean): Promise<Begun>
  /** Pairs that could not be made and are tried again. */
  readonly failures: readonly PairFailure[]
  /** Every pair that is being made. */
  readonly makings: readonly Making[]
  /** Whether a node or an export is being made, of a volume that is open: that takes what it takes, and no array delays it. */
  readonly attaching: boolean
  /** Marks a pair as taken down, so that nothing makes it again; whether it was being looked after without being there. */
  release(name: string): boolean
  /** Makes a pair again that was taken down, lost, or could not be made. */
  again(name: string): Promise<BlockDevicePair>
  /** Tells what became of pairs, once each. */
  tell(failures: Iterable<Pick<PairFailure, 'name' | 'error'>>): void
  /** How long I/O on the node of a pair waits for another agent, for people. */
  waits(name: string): string
  close(): void
}

// Opening a volume fails so where its paths do not do, or no more: they may come back.
const PASSING: ReadonlySet<string> = new Set(['NO_PATH', 'NOT_FOUND', 'CONNECT_FAILED', 'TIMED_OUT'])

interface Kept {
  readonly planned: PlannedPair
  state: 'making' | 'up' | 'lost' | 'down'
  making: Making | undefined
}

/** Makes a {@link Keeper} of a config's pairs. */
export function createKeeper(parts: KeeperParts): Keeper {
  const { config, loaded, agent, host, hider, log, telling, names, state, transports, care, signal } = parts
  const kept = new Map<string, Kept>()
  const failures = new Map<string, PairFailure>()
  const configOf = new WeakMap<BlockDevicePair, DeviceConfig>()
  // What I/O on the node of a pair waits for an agent, by the pair's name.
  const waits = new Map<string, string>()
  const nodesOf = (): Promise<readonly KernelNode[]> => leftNodes(config, (device) => loaded.get(device)!.transport)
  let attachments = 0
  const find = (name: string): BlockDevicePair | undefined => agent.pairs.find(({ id }) => id === name)
  const forget = (record: NameRecord): string => forgetCommand(record, state)
  // Plans change the same lists: one after the other.
  let last: Promise<unknown> = Promise.resolve()
  const inTurn = <Result>(work: () => Promise<Result>): Promise<Result> => {
    const result = last.then(work)
    last = result.catch(() => undefined)
    return result
  }

  const prepare = async (
    { device, config: entry, name, texts }: PlannedPair,
    nodes: readonly KernelNode[],
  ): Promise<{ transport: Transport; options: Record<string, unknown> }> => {
    const options = fillInAll(entry.transport.options, texts) as Record<string, unknown>
    const transport = await transports.get(loaded.get(entry)!.transport, options)
    const left = nodes.find((node) => !node.served && node.name === name && node.volume === device.volume)
    await care.before(transport, options, left)
    return { transport, options }
  }

  // One after the other, so that pairs are asked for in the order of the plan.
  let preparing: Promise<unknown> = Promise.resolve()
  const attach = async (
    planned: PlannedPair,
    nodes: readonly KernelNode[],
    attaching: (attached: Promise<unknown>) => void,
  ): Promise<void> => {
    const { device, config: entry, name } = planned
    const { selector } = loaded.get(entry)!
    const prepared = preparing.then(() => prepare(planned, nodes))
    preparing = prepared.catch(() => {})
    const { transport, options } = await prepared
    const pair = await agent.pair(
      {
        name,
        device: device.id,
        description: `${device.product}, ${device.volume}`,
        ...(device.product !== '' && { product: device.product }),
        ...(device.serial !== undefined && { serial: device.serial }),
        transport: watched(transport, attaching),
        ...(selector && { selector }),
        ...(entry.multipath && { multipath: entry.multipath }),
        ...(entry.shared && { shared: true }),
      },
      { signal },
    )
    configOf.set(pair, entry)
    waits.set(name, takeOverTime(options))
    reportEvents(pair, log)
    // I/O began with the pair: what went wrong with it at once was told to nobody.
    if (selector !== undefined && pair.policyFaults > 0) {
      const fault = probePolicy(selector(), pair.paths) ?? `policy ${pair.policy} picked no path`
      log.repeat(`${name}: ${fault}; the first path serves meanwhile`, { topic: `${name}: policy`, severity: 'error' })
    }
    pair.events.on('lost', () => onLost(name))
    await care.attached(pair)
  }

  const onLost = (name: string): void => {
    const one = kept.get(name)
    if (one?.state !== 'up') return
    one.state = 'lost'
    retry.plan()
  }

  /** Begins to make a pair; `failed` says what becomes of one that could not be made. */
  const make = (
    one: Kept,
    nodes: () => Promise<readonly KernelNode[]>,
    failed: (failure: PairFailure) => Promise<void>,
  ): Making => {
    const { planned } = one
    const { name } = planned
    const { state: before } = one
    let attaching = false
    const work = async (): Promise<PairFailure | undefined> => {
      try {
        await endLost(name)
        await attach(planned, await nodes(), (attached) => {
          attaching = true
          attachments++
          const over = (): void => void attachments--
          attached.then(over, over)
        })
        failures.delete(name)
        const told = telling.forget('pairs', name) || before === 'lost'
        const pair = find(name)
        // Taken down meanwhile.
        if (one.state === 'down' && pair !== undefined)
          await closePair(pair, { mode: 'clean', signal, clock: host.clock })
        else one.state = pair?.state === 'lost' ? 'lost' : 'up'
        if (told && one.state === 'up') {
          const crowd = { key: 'pair up', name, many: 'pairs are up' }
          log.repeat(`${name} is up: ${pair?.kernel.node}`, { topic: `${name} up`, severity: 'info', crowd })
        }
        return undefined
      } catch (error) {
        const passing = !attaching && BlockError.is(error) && PASSING.has(error.code)
        const since = failures.get(name)?.since ?? host.clock.now()
        const failure = { name, error: pairError(planned, error, hider), passing, since }
        await failed(failure)
        return failure
      } finally {
        one.making = undefined
        retry.plan()
      }
    }
    const making = { name, ended: work() }
    one.making = making
    return making
  }

  const endLost = async (name: string): Promise<void> => {
    const pair = find(name)
    if (pair?.state !== 'lost') return
    const { loss } = await closePair(pair, { mode: 'force', signal, clock: host.clock })
    if (loss !== undefined) log.report(loss, 'error')
  }

  const paired = (): Map<DeviceConfig, Map<string, number | null>> => {
    const all = new Map(config.devices.map((entry) => [entry, new Map<string, number | null>()]))
    for (const { planned } of kept.values()) all.get(planned.config)!.set(planned.device.id, planned.n)
    return all
  }

  const present = (): PresentPair[] => {
    const up = agent.pairs.map((pair) => ({ name: pair.id, volume: pair.volume, config: configOf.get(pair) }))
    const others = [...kept.values()].filter(({ planned, state }) => state !== 'down' && !find(planned.name))
    return [...up, ...others.map(({ planned: { name, device, config } }) => ({ name, volume: device.volume, config }))]
  }

  const plan = async (isStart: boolean): Promise<Begun> => {
    const nodes = await nodesOf()
    const { pairs, refusals, fault, undo } = await planNamed(
      names,
      !config.devices.some(needsRecord),
      (known) =>
        planPairs(agent.devices(), config.devices, { paired: paired(), pairs: present(), nodes, names: known, forget }),
      forget,
    )
    const holds = pairs.some(({ name, device }) =>
      nodes.some((node) => !node.served && node.name === name && node.volume === device.volume),
    )
    if (isStart && fault !== undefined && !holds) throw fault
    // What is no longer wanted, or is gone, does not fail.
    const wanted = new Set(pairs.map(({ name }) => name))
    for (const name of failures.keys()) if (!wanted.has(name) && !kept.has(name)) failures.delete(name)
    const makings = pairs.map((planned) => {
      const one: Kept = { planned, state: 'making', making: undefined }
      kept.set(planned.name, one)
      return make(
        one,
        async () => nodes,
        async (failure) => {
          // After the attach: it is there.
          if (find(planned.name)) return void (one.state = 'up')
          kept.delete(planned.name)
          failures.set(planned.name, failure)
          if (isStart && !failure.passing)
            await undo(planned).catch((undone: unknown) => log.report(messageOf(undone), 'warning'))
        },
      )
    })
    return { makings, refusals, fault }
  }

  const remake = (one: Kept, failed: (failure: PairFailure) => void): Making => {
    one.making ??= make(one, nodesOf, async (failure) => failed(failure))
    return one.making
  }

  const tell = (all: Iterable<Pick<PairFailure, 'name' | 'error'>>): void => {
    const lines = new Map([...failures.values(), ...all].map(({ name, error }) => [name, error.message]))
    telling.tell('pairs', lines)
  }

  const lost = (): Kept[] => [...kept.values()].filter(({ state, making }) => state === 'lost' && making === undefined)
  const waiting = (): boolean => [...failures.keys()].some((name) => !kept.has(name))
  const retry = createRetry(
    host,
    () => !signal.aborted && (lost().length > 0 || waiting()),
    async () => {
      for (const one of lost()) {
        const { name } = one.planned
        const making = remake(one, (failure) => failures.set(name, failure))
        void making.ended.then((failure) => failure && tell([failure]))
      }
      if (!waiting()) return
      const { makings } = await inTurn(() => plan(false)).catch((error: unknown) => {
        telling.tell('plan', [['names', messageOf(error)]])
        return { makings: [] }
      })
      for (const { ended } of makings) void ended.then((failure) => failure && tell([failure]))
    },
  )

  return {
    begin: (isStart = false) => inTurn(() => plan(isStart)),
    get failures() {
      return [...failures.values()]
    },
    get makings() {
      return [...kept.values()].flatMap(({ making }) => making ?? [])
    },
    get attaching() {
      return attachments > 0
    },
    release(name) {
      const one = kept.get(name)
      failures.delete(name)
      if (one === undefined) return false
      const isGone = one.state === 'lost' && find(name) === undefined
      one.state = 'down'
      return isGone
    },
    async again(name) {
      const pair = find(name)
      if (pair !== undefined && pair.state !== 'lost') {
        throw new BlockError('IN_USE', `${name} is up already, on ${pair.kernel.node}`)
      }
      if (!kept.has(name)) await inTurn(() => plan(false))
      const one = kept.get(name)
      if (one === undefined) throw new BlockError('NOT_FOUND', unknownPair(name, failures.get(name), downOf(kept)))
      const { state: before } = one
      if (before === 'down') one.state = 'making'
      const failure = await (one.making ?? remake(one, () => (one.state = before))).ended
      if (failure !== undefined) throw failure.error
      return find(name)!
    },
    tell,
    waits: (name) => waits.get(name) ?? takeOverTime({}),
    close: () => retry.close(),
  }
}

/** The transport, for one attachment; `attaching` gets it when it is asked for. */
function watched(transport: Transport, attaching: (attached: Promise<unknown>) => void): Transport {
  return {
    name: transport.name,
    attach(device, options) {
      const attached = transport.attach(device, options)
      attaching(attached)
      return attached
    },
    close: (options) => transport.close(options),
  }
}

/** The error with the pair it is about and its place; a {@link ConfigError} tells that already. */
function pairError({ name, config }: PlannedPair, error: unknown, hider: Hider): Error {
  if (error instanceof ConfigError) return error
  const code = BlockError.is(error) ? error.code : 'CONNECT_FAILED'
  const place = config.at === undefined ? '' : `${config.at}: `
  const text = hider.hide(`${place}pair ${name}: ${messageOf(error)}`)
  return new BlockError(code, text, { cause: hider.cause(error) })
}

function downOf(kept: ReadonlyMap<string, Kept>): string[] {
  return [...kept].filter(([, { state }]) => state === 'down').map(([name]) => name)
}

function unknownPair(name: string, failure: PairFailure | undefined, down: readonly string[]): string {
  if (failure !== undefined) return failure.error.message
  const others = down.length === 0 ? 'none was taken down' : `taken down are ${down.join(', ')}`
  return `the config makes no pair ${name} of what is there; ${others}`
}
