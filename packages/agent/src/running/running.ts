import { resolve } from 'node:path'
import type { Host } from '@blockbraid/core'
import { BlockError, createHostAgent, systemHost } from '@blockbraid/core'
import { checkVolumes } from '../config/check-volumes.ts'
import type { Config } from '../config/config.ts'
import { hiderOf } from '../config/secrets.ts'
import { createLog } from '../log/log.ts'
import type { Report } from '../log/report.ts'
import { createTelling } from '../log/telling.ts'
import { createNodeCare } from '../nodes/care.ts'
import { lacksPairs, makeLacking } from '../pairs/again.ts'
import type { Keeping } from '../pairs/keeping.ts'
import { createRetry } from '../pairs/retry.ts'
import { createTransportPool } from '../pairs/transports.ts'
import { createTurns } from '../pairs/turns.ts'
import { loadDevices, loadTargets } from '../plugins/loaded.ts'
import { fileLedger } from '../state/ledger.ts'
import { createNames } from '../state/names.ts'
import type { Resizes } from './resizes.ts'
import { createResizes } from './resizes.ts'

/** An agent with its pairs, in one record that its operations get. */
export interface Running extends Keeping {
  /** Called when another agent has the nodes left to it; undefined: that is refused. */
  readonly onHandedOver: (() => void) | undefined
  readonly resizes: Resizes
  /** Ends everything that is being done: see {@link endSoon}. */
  readonly closing: AbortController
  /** Whether it is up: what is told from then on is news. */
  started: boolean
  /** Settles when its pairs, targets and transports have ended; undefined until that begins. */
  ended: Promise<void> | undefined
}

/** What {@link createRunning} is given beside a config. */
export interface RunningOptions {
  /** @defaultValue the machine's */
  readonly host?: Host | undefined
  readonly report?: Report | undefined
  readonly onHandedOver?: (() => void) | undefined
}

/** Loads what a config names and makes an agent of it, which does nothing yet. */
export async function createRunning(config: Config, options: RunningOptions): Promise<Running> {
  const { host = systemHost, onHandedOver } = options
  checkVolumes(config.devices)
  const loaded = await loadDevices(config, host)
  const targets = await loadTargets(config, host)
  const hider = hiderOf([config.targets, config.devices])
  const log = createLog(host.clock, (line, severity) => options.report?.(hider.hide(line), severity))
  const { same = [], distinct = [] } = config
  const expected = config.devices.map(({ volume }) => volume).filter((volume) => volume !== '*')
  const agent = createHostAgent({ targets, host, same, distinct, expected, ledger: fileLedger(undefined, log.report) })
  const state: string | false = config.state === undefined || config.state === false ? false : resolve(config.state)
  const closing = new AbortController()
  const running: Running = {
    config,
    loaded,
    agent,
    host,
    hider,
    log,
    telling: createTelling((group, about, line) =>
      log.repeat(line, {
        topic: `${group}: ${line}`,
        severity: running.started ? 'warning' : undefined,
        ...(group === 'pairs' && { crowd: { key: group, name: about, many: 'pairs are not up' } }),
      }),
    ),
    names: createNames(state, { control: config.control ?? '', folder: config.folder }, () => new Date()),
    state,
    transports: createTransportPool(),
    care: createNodeCare(() => agent.pairs, host.clock, log.report),
    signal: closing.signal,
    retry: createRetry(
      host,
      () => lacksPairs(running),
      () => makeLacking(running),
    ),
    kept: new Map(),
    failures: new Map(),
    configOf: new WeakMap(),
    waits: new Map(),
    planning: createTurns(),
    preparing: createTurns(),
    attachments: 0,
    onHandedOver,
    resizes: createResizes(),
    closing,
    started: false,
    ended: undefined,
  }
  return running
}

/** Ends whatever is being done. */
export function endSoon({ closing }: Running): void {
  closing.abort(new BlockError('CLOSED', 'the agent is closing'))
}
