import type { BlockDevicePair, DetachOptions, Host, HostAgent } from '@blockbraid/core'
import type { PluginUse } from '../config/config.ts'
import type { ControlServer } from '../control/server.ts'
import { endAll } from '../running/end.ts'
import { findPair } from '../running/find.ts'
import type { HandOverResult } from '../running/hand-over.ts'
import { handOver } from '../running/hand-over.ts'
import type { RescanResult } from '../running/rescan.ts'
import { rescan } from '../running/rescan.ts'
import type { Running } from '../running/running.ts'
import { endSoon } from '../running/running.ts'
import { setPolicy } from '../running/set-policy.ts'
import type { TakeDownMode } from '../running/take-down.ts'
import { takeDown } from '../running/take-down.ts'

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
  down(pair: string, mode?: TakeDownMode): Promise<boolean>
  /** Leaves every kernel node for another agent. Rejects with NOT_SUPPORTED without {@link RunOptions.onHandedOver}. */
  handOver(): Promise<HandOverResult>
  /**
   * Ends the control socket, the pairs, the targets and the transports; drops I/O when the signal fires. A
   * kernel node that is in use is left for the next agent, unless the mode is `force`.
   */
  close(options?: DetachOptions): Promise<void>
}

/** The agent as a program has it in hand; `control` gives its socket, where it is listened on by now. */
export function agentOf(running: Running, control: () => ControlServer | undefined): RunningAgent {
  let closed: Promise<void> | undefined
  const close = (options: DetachOptions = {}): Promise<void> => {
    closed ??= shut(running, control(), options)
    return closed
  }
  return {
    agent: running.agent,
    host: running.host,
    find: (name) => findPair(running, name),
    rescan: () => rescan(running),
    setPolicy: (pair, policy) => setPolicy(running, pair, policy),
    async down(pair, mode) {
      return (await takeDown(running, pair, mode)).stalled
    },
    handOver: () => handOver(running),
    close,
    [Symbol.asyncDispose]: () => close(),
  }
}

async function shut(running: Running, control: ControlServer | undefined, options: DetachOptions): Promise<void> {
  endSoon(running)
  const [first] = await Promise.allSettled([control?.close()])
  await endAll(running, options)
  if (first.status === 'rejected') throw first.reason
}
