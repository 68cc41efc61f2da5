import type {
  BlockDevicePair,
  Host,
  HostAgent,
  PathSelector,
  ScanReport,
  SignalOptions,
  Target,
} from '@blockbraid/core'
import { BlockError, createHostAgent, messageOf, systemHost } from '@blockbraid/core'
import { closePair } from './close-pair.ts'
import type { Config, DeviceConfig, PluginUse } from './config/config.ts'
import type { Hider } from './config/secrets.ts'
import { hiderOf } from './config/secrets.ts'
import { ConfigError } from './config/source.ts'
import { serveAgent } from './control/handlers.ts'
import type { ControlServer } from './control/server.ts'
import { reportEvents } from './notices.ts'
import type { PlannedPair } from './pairing.ts'
import { fillInAll, notFound, planPairs } from './pairing.ts'
import { loadPolicy, loadTarget, loadTransport } from './plugins.ts'
import type { CreateTransport } from './transports.ts'
import { createTransportPool } from './transports.ts'

/** Options of {@link runAgent}. `signal` ends the start early. */
export interface RunOptions extends SignalOptions {
  /** Defaults to the machine's. */
  host?: Host
  /** Called with news for people, one line each: a path lost, a device stalled. */
  report?: (line: string) => void
}

/** What a rescan changed. */
export interface RescanResult {
  /** Path ids. */
  readonly added: readonly string[]
  /** Path ids. */
  readonly removed: readonly string[]
  /** Names of pairs made of volumes that were not paired. */
  readonly paired: readonly string[]
  /** One line each: targets that could not be asked, devices that could not be paired. */
  readonly errors: readonly string[]
}

/** An agent that a config described, with its pairs. */
export interface RunningAgent extends AsyncDisposable {
  /** The agent below, with its pairs. */
  readonly agent: HostAgent
  /** Time and randomness that everything in it uses. */
  readonly host: Host
  /** The pair of that name. Throws NOT_FOUND. */
  find(name: string): BlockDevicePair
  /** Asks the targets again and pairs what the config wants and is new. */
  rescan(): Promise<RescanResult>
  /** Exchanges the policy of a pair under I/O. A `./file` is looked up from the config's folder. */
  setPolicy(pair: string, policy: PluginUse): Promise<void>
  /**
   * Ends a pair until the agent is started again. I/O in flight is drained; where no path is usable it is
   * dropped at once. Resolves to whether that was so.
   */
  down(pair: string): Promise<boolean>
  /** Ends the control socket, the pairs, the targets and the transports; drops I/O when the signal fires. */
  close(options?: SignalOptions): Promise<void>
}

/** What of a config's entry was imported. */
interface Loaded {
  readonly selector: (() => PathSelector) | undefined
  readonly transport: CreateTransport
}

/** Starts what `config` describes. Nothing is left behind when it fails. */
export async function runAgent(config: Config, options: RunOptions = {}): Promise<RunningAgent> {
  const host = options.host ?? systemHost
  const loaded = await loadDevices(config, host)
  const targets = await loadTargets(config, host)
  const hider = hiderOf([config.targets, config.devices])
  const { report = ignore } = options
  const running = createRunning(config, loaded, createHostAgent({ targets, host }), host, hider, (line) =>
    report(hider.hide(line)),
  )
  try {
    await running.start(options.signal)
    return running
  } catch (error) {
    await running.close({ signal: options.signal })
    throw error
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

function ignore(_line: string): void {}

async function loadDevices(config: Config, host: Host): Promise<ReadonlyMap<DeviceConfig, Loaded>> {
  const loaded = new Map<DeviceConfig, Loaded>()
  for (const device of config.devices) {
    const selector = device.policy && (await loadPolicy(device.policy, config.folder, host))
    loaded.set(device, { selector, transport: await loadTransport(device.transport, config.folder, host) })
  }
  return loaded
}

async function loadTargets(config: Config, host: Host): Promise<Target[]> {
  const targets: Target[] = []
  try {
    for (const plugin of config.targets) targets.push(await loadTarget(plugin, config.folder, host))
    return targets
  } catch (error) {
    await Promise.all(targets.map((target) => target.close()))
    throw error
  }
}

function createRunning(
  config: Config,
  loaded: ReadonlyMap<DeviceConfig, Loaded>,
  agent: HostAgent,
  host: Host,
  hider: Hider,
  report: (line: string) => void,
): RunningAgent & { start(signal?: AbortSignal): Promise<void> } {
  const transports = createTransportPool()
  const closing = new AbortController()
  // By device id. A pair that was taken down keeps its entry, so that no rescan makes it again.
  const paired = new Map<string, { config: DeviceConfig; n: number }>()
  let control: ControlServer | undefined
  let closed: Promise<void> | undefined
  let last: Promise<unknown> = Promise.resolve()

  // Rescans change the same lists: one after the other.
  const inTurn = <Result>(work: () => Promise<Result>): Promise<Result> => {
    const result = last.then(work)
    last = result.catch(() => undefined)
    return result
  }

  const find = (name: string): BlockDevicePair => {
    const found = agent.pairs.find((pair) => pair.id === name)
    if (found) return found
    const names = agent.pairs.map((pair) => pair.id).join(', ')
    throw new BlockError('NOT_FOUND', `there is no pair ${name}; ${names === '' ? 'no pair is up' : `up are ${names}`}`)
  }

  const makePair = async ({ device, config: entry, name, texts }: PlannedPair, signal: AbortSignal): Promise<void> => {
    const { selector, transport } = loaded.get(entry)!
    const pair = await agent.pair(
      {
        name,
        device: device.id,
        description: `${device.product}, ${device.volume}`,
        transport: await transports.get(
          transport,
          fillInAll(entry.transport.options, texts) as Record<string, unknown>,
        ),
        ...(selector && { selector }),
        ...(entry.multipath && { multipath: entry.multipath }),
      },
      { signal },
    )
    paired.set(device.id, { config: entry, n: Number(texts.n) })
    reportEvents(pair, report)
  }

  const pairNew = async (
    { added, removed, errors }: ScanReport,
    signal: AbortSignal,
  ): Promise<RescanResult & { failures: readonly Error[] }> => {
    const names = new Set(agent.pairs.map((pair) => pair.id))
    const result = { added, removed, paired: [] as string[], errors: [] as string[], failures: [] as Error[] }
    for (const { target, error } of errors) result.errors.push(hider.hide(`target ${target}: ${messageOf(error)}`))
    for (const planned of planPairs(agent.devices(), config.devices, paired, names)) {
      try {
        await makePair(planned, signal)
        result.paired.push(planned.name)
      } catch (error) {
        const failure = pairError(planned, error, hider)
        result.errors.push(failure.message)
        result.failures.push(failure)
      }
    }
    return result
  }

  const shut = async (options?: SignalOptions): Promise<void> => {
    closing.abort(new BlockError('CLOSED', 'the agent is closing'))
    // Each comes to its end though another fails.
    const [first] = await Promise.allSettled([control?.close()])
    const [second] = await Promise.allSettled([agent.close(options)])
    const [third] = await Promise.allSettled([transports.close(options)])
    for (const end of [first, second, third]) if (end.status === 'rejected') throw end.reason
  }

  const running = {
    agent,
    host,
    find,
    async start(signal?: AbortSignal): Promise<void> {
      // First of all: another agent that listens there has our sockets too.
      if (config.control !== undefined) control = await serveAgent(config.control, running, hider)
      const both = signal ? AbortSignal.any([signal, closing.signal]) : closing.signal
      const { errors, failures } = await inTurn(async () => pairNew(await agent.rescan({ signal: both }), both))
      if (failures.length > 0) throw failures[0]
      for (const line of errors) report(line)
      if (errors.length > 0 && errors.length === agent.targets.length)
        throw new BlockError('CONNECT_FAILED', errors[0]!)
      for (const volume of notFound(agent.devices(), config.devices)) report(`${volume} is not there yet`)
      agent.events.on('rescanned', follow)
    },
    async rescan(): Promise<RescanResult> {
      const {
        added,
        removed,
        paired: made,
        errors,
      } = await inTurn(async () => pairNew(await agent.rescan({ signal: closing.signal }), closing.signal))
      return { added, removed, paired: made, errors }
    },
    async setPolicy(name: string, policy: PluginUse): Promise<void> {
      const pair = running.find(name)
      pair.setSelector(await loadPolicy(policy, config.folder, host))
    },
    // Not in turn: it may take long, and its entry in `paired` keeps rescans from making the pair again.
    down: (name: string): Promise<boolean> => closePair(find(name), closing.signal),
    close(options?: SignalOptions): Promise<void> {
      closed ??= shut(options)
      return closed
    },
    [Symbol.asyncDispose]: (): Promise<void> => running.close(),
  }

  const follow = (found: ScanReport): void => {
    if (closing.signal.aborted) return
    inTurn(() => pairNew(found, closing.signal)).then(
      ({ added, removed, errors }) => {
        report(`rescan: ${added.length} paths came, ${removed.length} went`)
        errors.forEach(report)
      },
      (error: unknown) => report(`rescan: ${messageOf(error)}`),
    )
  }
  return running
}
