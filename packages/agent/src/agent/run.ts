import type { BlockDevicePair, DetachMode, DetachOptions, Host, HostAgent, SignalOptions } from '@blockbraid/core'
import { createHostAgent, systemHost } from '@blockbraid/core'
import { checkVolumes } from '../config/check-volumes.ts'
import type { Config, PluginUse } from '../config/config.ts'
import { hiderOf } from '../config/secrets.ts'
import type { HandOverResult } from '../control/protocol.ts'
import { createLog } from '../log/log.ts'
import type { Severity } from '../log/report.ts'
import { loadDevices, loadTargets } from '../plugins/loaded.ts'
import { createRunning } from '../running/running.ts'
import { fileLedger } from '../state/ledger.ts'

/** Options of {@link runAgent}. `signal` ends the start early. */
export interface RunOptions extends SignalOptions {
  /** Defaults to the machine's. */
  host?: Host
  /**
   * Called with news for people, one line each: a path lost, a device stalled. What happens again and again is
   * summed up. `severity` is left out where it is the answer to what somebody has just done.
   */
  report?: (line: string, severity?: Severity) => void
  /**
   * Has an agent that runs at the control socket leave its kernel nodes and end, once everything of the config is
   * loaded and what that agent serves was found from here too, and takes them over. @defaultValue false
   */
  takeOver?: boolean
  /**
   * Called when another agent wanted the kernel nodes, and has them left to it: `close()` this one and end the
   * process. Left out: such a request is refused.
   */
  onHandedOver?: () => void
}

/** A volume of another size than before. */
export interface ResizedPair {
  /** Name of its pair; its identity where it has none. */
  readonly name: string
  /** Bytes it had. */
  readonly before: number
  /** Bytes it has. */
  readonly size: number
}

/** What a rescan changed. */
export interface RescanResult {
  /** Path ids. */
  readonly added: readonly string[]
  /** Path ids. */
  readonly removed: readonly string[]
  /** Names of pairs made of volumes that were not paired. */
  readonly paired: readonly string[]
  /** Volumes whose size has changed; left out where there is none. */
  readonly resized?: readonly ResizedPair[]
  /** One line each: targets that could not be asked, devices that could not be paired. */
  readonly errors: readonly string[]
  /** One line each: what targets say of what they leave out; without the field they say nothing. */
  readonly notes?: readonly string[]
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
  /**
   * Exchanges the policy of a pair under I/O. A `./file` is looked up from the config's folder. Resolves to what the
   * policy does wrong, so that the first path is used; undefined: nothing that a trial shows.
   */
  setPolicy(pair: string, policy: PluginUse): Promise<string | undefined>
  /**
   * Ends a pair until the agent is started again. I/O in flight is drained; where no path is usable it is
   * dropped at once. Resolves to whether that was so. Rejects with IN_USE while a kernel node is used, unless
   * the mode is `force`.
   */
  down(pair: string, mode?: Exclude<DetachMode, 'leave'>): Promise<boolean>
  /** Leaves every kernel node for another agent. Rejects with NOT_SUPPORTED without {@link RunOptions.onHandedOver}. */
  handOver(): Promise<HandOverResult>
  /**
   * Ends the control socket, the pairs, the targets and the transports; drops I/O when the signal fires. A
   * kernel node that is in use is left for the next agent, unless the mode is `force`.
   */
  close(options?: DetachOptions): Promise<void>
}

/** Starts what `config` describes. Nothing is left behind when it fails, but for kernel nodes that were taken over. */
export async function runAgent(config: Config, options: RunOptions = {}): Promise<RunningAgent> {
  const host = options.host ?? systemHost
  checkVolumes(config.devices)
  const loaded = await loadDevices(config, host)
  const targets = await loadTargets(config, host)
  const hider = hiderOf([config.targets, config.devices])
  const { onHandedOver } = options
  const log = createLog(host.clock, (line, severity) => options.report?.(hider.hide(line), severity))
  const { same = [], distinct = [] } = config
  const expected = config.devices.map(({ volume }) => volume).filter((volume) => volume !== '*')
  const running = createRunning({
    config,
    loaded,
    agent: createHostAgent({ targets, host, same, distinct, expected, ledger: fileLedger(undefined, log.report) }),
    host,
    hider,
    log,
    onHandedOver,
  })
  try {
    await running.start(options)
    return running
  } catch (error) {
    await running.close({ signal: options.signal })
    throw error
  }
}
