import type { Host, SignalOptions } from '@blockbraid/core'
import type { Config } from '../config/config.ts'
import { openControl } from '../control/open-control.ts'
import type { ControlServer } from '../control/server.ts'
import type { Severity } from '../log/report.ts'
import { createRunning } from '../running/running.ts'
import { startPairs } from '../running/start.ts'
import type { RunningAgent } from './running-agent.ts'
import { agentOf } from './running-agent.ts'

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

/** Starts what `config` describes. Nothing is left behind when it fails, but for kernel nodes that were taken over. */
export async function runAgent(config: Config, options: RunOptions = {}): Promise<RunningAgent> {
  const { signal: asked, takeOver: replaces = false } = options
  const running = await createRunning(config, options)
  let server: ControlServer | undefined
  const agent = agentOf(running, () => server)
  try {
    const signal = asked ? AbortSignal.any([asked, running.signal]) : running.signal
    // Before all else: another agent that listens there has our sockets and nodes too.
    const control = await openControl(running, { replaces, asked, signal })
    server = control.server
    await startPairs(running, { replaced: control.replaced, signal })
    return agent
  } catch (error) {
    await agent.close({ signal: asked })
    throw error
  }
}
