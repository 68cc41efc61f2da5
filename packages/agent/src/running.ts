import { resolve } from 'node:path'
import type {
  BlockDevicePair,
  DetachMode,
  DetachOptions,
  Host,
  HostAgent,
  KernelNode,
  PathSelector,
  ScanReport,
} from '@blockbraid/core'
import { BlockError, messageOf } from '@blockbraid/core'
import { closePair, isInUse } from './close-pair.ts'
import type { Config, DeviceConfig, PluginUse } from './config/config.ts'
import type { Hider } from './config/secrets.ts'
import { ConfigError } from './config/source.ts'
import { serveAgent } from './control/handlers.ts'
import type { HandOverResult } from './control/protocol.ts'
import type { ControlServer } from './control/server.ts'
import { takeOver } from './control/take-over.ts'
import type { NamedPlan } from './naming.ts'
import { planNamed } from './naming.ts'
import { createNodeCare } from './nodes/care.ts'
import { endPairs } from './nodes/end-pairs.ts'
import { isKernelNode, takeOverTime } from './nodes/kernel-node.ts'
import { leftNodes } from './nodes/left-nodes.ts'
import { reportEvents } from './notices.ts'
import type { PlannedPair } from './pairing.ts'
import { needsRecord, notFound, planPairs } from './pairing.ts'
import { fillInAll } from './placeholders.ts'
import { loadPolicy } from './plugins.ts'
import { createResizes } from './resizes.ts'
import type { RescanResult, RunningAgent, RunOptions } from './run.ts'
import type { NameRecord } from './state/name-record.ts'
import { forgetCommand } from './state/name-record.ts'
import { createNames } from './state/names.ts'
import type { CreateTransport } from './transports.ts'
import { createTransportPool } from './transports.ts'

/** What of a config's entry was imported. */
export interface Loaded {
  readonly selector: (() => PathSelector) | undefined
  readonly transport: CreateTransport
}

/** What a {@link RunningAgent} is made of. */
export interface RunningParts {
  readonly config: Config
  readonly loaded: ReadonlyMap<DeviceConfig, Loaded>
  readonly agent: HostAgent
  readonly host: Host
  readonly hider: Hider
  readonly report: (line: string) => void
  readonly onHandedOver: (() => void) | undefined
}

/** How long I/O in flight may take to end when another agent wants the nodes, milliseconds. It is sent again there. */
const HAND_OVER_DRAIN_TIME = 1000

/** The error with the pair it is about and its place; a {@link ConfigError} tells that already. */
function pairError({ name, config }: PlannedPair, error: unknown, hider: Hider): Error {
  if (error instanceof ConfigError) return error
  const code = BlockError.is(error) ? error.code : 'CONNECT_FAILED'
  const place = config.at === undefined ? '' : `${config.at}: `
  const text = hider.hide(`${place}pair ${name}: ${messageOf(error)}`)
  return new BlockError(code, text, { cause: hider.cause(error) })
}

function isTakenOver(node: KernelNode, name: string, volume: string): boolean {
  return !node.served && node.name === name && node.volume === volume
}

function isCutShort(error: unknown, signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true && BlockError.is(error) && (error.code === 'ABORTED' || error.code === 'TIMED_OUT')
}

/** Makes an agent that does nothing until `start`. */
export function createRunning({
  config,
  loaded,
  agent,
  host,
  hider,
  report,
  onHandedOver,
}: RunningParts): RunningAgent & { start(options: RunOptions): Promise<void> } {
  const transports = createTransportPool()
  const care = createNodeCare(() => agent.pairs, host.clock, report)
  const closing = new AbortController()
  const resizes = createResizes()
  // A pair that was taken down keeps its place, so that no rescan makes it again.
  const paired = new Map(config.devices.map((entry) => [entry, new Map<string, number | null>()]))
  const configOf = new WeakMap<BlockDevicePair, DeviceConfig>()
  const state = config.state === undefined || config.state === false ? false : resolve(config.state)
  const names = createNames(state, { control: config.control ?? '', folder: config.folder }, () => new Date())
  // What I/O on the node of a pair waits for an agent, by the pair's name.
  const waits = new Map<string, string>()
  let control: ControlServer | undefined
  let ended: Promise<void> | undefined
  let closed: Promise<void> | undefined
  let last: Promise<unknown> = Promise.resolve()
  // Devices that are not paired: each is told once as long as it stays so.
  let told: ReadonlySet<string> = new Set()

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

  const makePair = async (
    { device, config: entry, name, texts, n }: PlannedPair,
    nodes: readonly KernelNode[],
    signal: AbortSignal,
  ): Promise<void> => {
    const { selector, transport: create } = loaded.get(entry)!
    const options = fillInAll(entry.transport.options, texts) as Record<string, unknown>
    const transport = await transports.get(create, options)
    await care.before(
      transport,
      options,
      nodes.find((node) => isTakenOver(node, name, device.volume)),
    )
    const pair = await agent.pair(
      {
        name,
        device: device.id,
        description: `${device.product}, ${device.volume}`,
        transport,
        ...(selector && { selector }),
        ...(entry.multipath && { multipath: entry.multipath }),
        ...(entry.shared && { shared: true }),
      },
      { signal },
    )
    paired.get(entry)!.set(device.id, n)
    configOf.set(pair, entry)
    waits.set(name, takeOverTime(options))
    reportEvents(pair, report, host.clock)
    await care.attached(pair)
  }

  const plan = (nodes: readonly KernelNode[]): Promise<NamedPlan> => {
    const pairs = agent.pairs.map((pair) => ({ name: pair.id, volume: pair.volume, config: configOf.get(pair) }))
    const forget = (record: NameRecord): string => forgetCommand(record, state)
    return planNamed(
      names,
      !config.devices.some(needsRecord),
      (known) => planPairs(agent.devices(), config.devices, { paired, pairs, nodes, names: known, forget }),
      forget,
    )
  }

  const pairNew = async (
    { added, removed, errors, resized }: ScanReport,
    signal: AbortSignal,
    isStart = false,
  ): Promise<RescanResult & { silent: number; failures: readonly Error[]; refusals: readonly Error[] }> => {
    resizes.add(resized)
    const nodes = await leftNodes(config, (device) => loaded.get(device)!.transport)
    const { pairs, refusals, fault, undo } = await plan(nodes)
    const holds = pairs.some(({ name, device }) => nodes.some((node) => isTakenOver(node, name, device.volume)))
    if (isStart && fault !== undefined && !holds) throw fault
    const result = {
      added,
      removed,
      paired: [] as string[],
      errors: [] as string[],
      silent: 0,
      failures: [] as Error[],
      refusals,
    }
    for (const { target, volume, error } of errors) {
      result.errors.push(hider.hide(volume === undefined ? `target ${target}: ${messageOf(error)}` : messageOf(error)))
      if (volume === undefined) result.silent++
    }
    // Else each of them says it.
    if (fault !== undefined && refusals.length === 0) result.errors.push(fault.message)
    result.errors.push(...refusals.map(({ message }) => message))
    for (const planned of pairs) {
      try {
        await makePair(planned, nodes, signal)
        result.paired.push(planned.name)
      } catch (error) {
        const failure = pairError(planned, error, hider)
        result.errors.push(failure.message)
        result.failures.push(failure)
        if (agent.pairs.some(({ id }) => id === planned.name)) continue
        await undo(planned).catch((undone: unknown) => result.errors.push(messageOf(undone)))
      }
    }
    return result
  }

  const endAll = (options: DetachOptions): Promise<void> => {
    ended ??= (async () => {
      closing.abort(new BlockError('CLOSED', 'the agent is closing'))
      care.close()
      const { mode = 'clean', signal } = options
      const waitsOf = ({ id }: BlockDevicePair): string => waits.get(id) ?? takeOverTime({})
      // Each comes to its end though another fails.
      const [first] = await Promise.allSettled([endPairs(agent.pairs, { mode, signal, report, waits: waitsOf })])
      const [second] = await Promise.allSettled([agent.close(options)])
      const [third] = await Promise.allSettled([transports.close(options)])
      // What was cut short has ended all the same, but for what could not be waited for.
      const failed = [first, second, third].find((end) => end.status === 'rejected' && !isCutShort(end.reason, signal))
      if (failed?.status === 'rejected') throw failed.reason
    })()
    return ended
  }

  const shut = async (options: DetachOptions): Promise<void> => {
    closing.abort(new BlockError('CLOSED', 'the agent is closing'))
    const [first] = await Promise.allSettled([control?.close()])
    await endAll(options)
    if (first.status === 'rejected') throw first.reason
  }

  const running = {
    agent,
    host,
    find,
    async start({ signal, takeOver: replaces }: RunOptions): Promise<void> {
      if (config.control !== undefined) {
        if (replaces) await takeOver(config.control, report, signal)
        // Before all else: another agent that listens there has our sockets and nodes too.
        control = await serveAgent(config.control, running, hider)
      }
      const both = signal ? AbortSignal.any([signal, closing.signal]) : closing.signal
      const { errors, silent, failures, refusals } = await inTurn(async () =>
        pairNew(await agent.rescan({ signal: both }), both, true),
      )
      // Whoever uses a node that was taken over must not suffer from what is wrong with another.
      const holds = agent.pairs.some(({ kernel }) => kernel.tookOver)
      if (failures.length > 0 && !holds) throw failures[0]
      if (refusals.length > 0 && agent.pairs.length === 0) throw refusals[0]
      for (const line of errors) report(line)
      told = new Set(refusals.map(({ message }) => message))
      if (silent > 0 && silent === agent.targets.length && !holds) throw new BlockError('CONNECT_FAILED', errors[0]!)
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
      return { added, removed, paired: made, errors, ...resizes.take(agent.pairs) }
    },
    async setPolicy(name: string, policy: PluginUse): Promise<void> {
      const pair = running.find(name)
      pair.setSelector(await loadPolicy(policy, config.folder, host))
    },
    // Not in turn: it may take long, and its entry in `paired` keeps rescans from making the pair again.
    async down(name: string, mode: Exclude<DetachMode, 'leave'> = 'clean'): Promise<boolean> {
      try {
        return await closePair(find(name), { mode, signal: closing.signal, clock: host.clock })
      } catch (error) {
        if (!isInUse(error)) throw error
        const advice = `"blockbraid down --force ${name}" removes it all the same: whoever uses it gets EIO`
        throw new BlockError('IN_USE', `${name} stays up: ${error.message}; ${advice}`, { cause: error })
      }
    },
    async handOver(): Promise<HandOverResult> {
      if (onHandedOver === undefined)
        throw new BlockError('NOT_SUPPORTED', 'this agent is part of another program: end that program')
      const all = agent.pairs.map(({ id, kernel }) => ({ name: id, node: kernel.node }))
      const hurry = new AbortController()
      const timer = host.clock.after(HAND_OVER_DRAIN_TIME, () => hurry.abort())
      // The control socket stays until all has ended: whoever waits for the answer must not find another agent there.
      await endAll({ mode: 'leave', signal: hurry.signal }).catch((error: unknown) => report(messageOf(error)))
      timer.cancel()
      // After the answer was written.
      setImmediate(onHandedOver)
      return {
        pid: process.pid,
        nodes: all.filter(({ node }) => isKernelNode(node)),
        exports: all.filter(({ node }) => !isKernelNode(node)),
      }
    },
    close(options: DetachOptions = {}): Promise<void> {
      closed ??= shut(options)
      return closed
    },
    [Symbol.asyncDispose]: (): Promise<void> => running.close(),
  }

  const follow = (found: ScanReport): void => {
    if (closing.signal.aborted) return
    inTurn(() => pairNew(found, closing.signal)).then(
      ({ added, removed, errors, refusals }) => {
        report(`rescan: ${added.length} paths came, ${removed.length} went`)
        for (const line of errors) if (!told.has(line)) report(line)
        told = new Set(refusals.map(({ message }) => message))
      },
      (error: unknown) => report(`rescan: ${messageOf(error)}`),
    )
  }
  return running
}
