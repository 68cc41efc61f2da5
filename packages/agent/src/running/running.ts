import { resolve } from 'node:path'
import type { BlockDevicePair, DetachMode, DetachOptions, ScanError, ScanNote, ScanReport } from '@blockbraid/core'
import { abortable, BlockError, messageOf } from '@blockbraid/core'
import type { RescanResult, RunningAgent, RunOptions } from '../agent/run.ts'
import type { PluginUse } from '../config/config.ts'
import { serveAgent } from '../control/handlers.ts'
import type { HandOverResult } from '../control/protocol.ts'
import { checkReach } from '../control/reach.ts'
import type { ControlServer } from '../control/server.ts'
import { takeOver } from '../control/take-over.ts'
import { createTelling } from '../log/telling.ts'
import { createNodeCare } from '../nodes/care.ts'
import { isKernelNode } from '../nodes/kernel-node.ts'
import type { ClosedPair } from '../pairs/close-pair.ts'
import { closePair, isInUse } from '../pairs/close-pair.ts'
import { endPairs } from '../pairs/end-pairs.ts'
import type { Begun, KeeperParts, Making, PairFailure } from '../pairs/keeper.ts'
import { createKeeper } from '../pairs/keeper.ts'
import { settleMost } from '../pairs/settle.ts'
import { createTransportPool } from '../pairs/transports.ts'
import { notFound } from '../plan/pairing.ts'
import { loadPolicy } from '../plugins/plugins.ts'
import { describeFault, probePolicy } from '../plugins/policy-probe.ts'
import type { PairListing } from '../snapshot/listing.ts'
import { createNames } from '../state/names.ts'
import { createResizes } from './resizes.ts'

/** What a {@link RunningAgent} is made of. */
export interface RunningParts extends Pick<KeeperParts, 'config' | 'loaded' | 'agent' | 'host' | 'hider' | 'log'> {
  readonly onHandedOver: (() => void) | undefined
}

/** How long others are waited for once a pair is up, from the last one that came up, milliseconds. */
const PATIENCE = 1500

/** How long I/O in flight may take to end when another agent wants the nodes, milliseconds. It is sent again there. */
const HAND_OVER_DRAIN_TIME = 1000

/** What became of pairs that were begun. */
interface Settled {
  readonly failures: readonly PairFailure[]
  /** Those that are still being made. */
  readonly slow: readonly Pick<PairFailure, 'name' | 'error'>[]
  readonly paired: readonly string[]
}

/** A running agent, as its control socket sees it. */
export interface ControlledAgent extends RunningAgent {
  /** As `down`, and tells what may be lost. */
  takeDown(name: string, mode?: Exclude<DetachMode, 'leave'>): Promise<ClosedPair>
  /** Makes a pair again that was taken down, lost, or could not be made; resolves to its node. */
  pairAgain(name: string): Promise<string>
  /** Pairs that could not be made and are tried again. */
  failures(): readonly PairFailure[]
}

/** Makes an agent that does nothing until `start`. */
export function createRunning({
  config,
  loaded,
  agent,
  host,
  hider,
  log,
  onHandedOver,
}: RunningParts): ControlledAgent & { start(options: RunOptions): Promise<void> } {
  const { report } = log
  const transports = createTransportPool()
  const care = createNodeCare(() => agent.pairs, host.clock, report)
  const closing = new AbortController()
  const state: string | false = config.state === undefined || config.state === false ? false : resolve(config.state)
  const names = createNames(state, { control: config.control ?? '', folder: config.folder }, () => new Date())
  let started = false
  const telling = createTelling((group, about, line) =>
    log.repeat(line, {
      topic: `${group}: ${line}`,
      severity: started ? 'warning' : undefined,
      ...(group === 'pairs' && { crowd: { key: group, name: about, many: 'pairs are not up' } }),
    }),
  )
  const resizes = createResizes()
  const { signal } = closing
  const parts = { config, loaded, agent, host, hider, log, telling, names, state, transports, care, signal }
  const keeper = createKeeper(parts)
  let control: ControlServer | undefined
  let ended: Promise<void> | undefined
  let closed: Promise<void> | undefined

  const find = (name: string): BlockDevicePair => {
    const found = agent.pairs.find((pair) => pair.id === name)
    if (found) return found
    const names = agent.pairs.map((pair) => pair.id).join(', ')
    throw new BlockError('NOT_FOUND', `there is no pair ${name}; ${names === '' ? 'no pair is up' : `up are ${names}`}`)
  }

  /** Waits for most of what is being made; what takes longer is told when it has failed. */
  const settle = async (makings: readonly Making[], asked: AbortSignal): Promise<Settled> => {
    const failures = new Map<string, PairFailure>()
    const left = new Set(makings)
    const ends = makings.map((making) =>
      making.ended.then((failure) => {
        left.delete(making)
        if (failure !== undefined) failures.set(making.name, failure)
      }),
    )
    const enough = (): boolean => agent.pairs.length > 0 || [...failures.values()].some(({ passing }) => !passing)
    await abortable(settleMost(ends, host.clock, PATIENCE, { enough, busy: () => keeper.attaching }), asked)
    for (const { ended } of left) void ended.then((failure) => failure && keeper.tell([failure]))
    return {
      failures: makings.flatMap(({ name }) => failures.get(name) ?? []),
      slow: [...left].map(({ name }) => ({ name, error: new Error(`pair ${name}: its volume takes long to open`) })),
      paired: makings.filter((making) => !left.has(making) && !failures.has(making.name)).map(({ name }) => name),
    }
  }

  const tellScan = ({ errors, notes = [] }: ScanReport): number =>
    telling.tell('scan', [
      ...errors.map((error) => [aboutError(error), hider.hide(lineOfError(error))] as const),
      ...notes.map((note) => [`${note.target} ${note.place}`, hider.hide(lineOfNote(note))] as const),
    ])

  const tellPlan = ({ refusals, fault }: Begun): void => {
    telling.tell(
      'plan',
      problemsOf({ refusals, fault }).map((line) => [line, line]),
    )
  }

  const endAll = (options: DetachOptions): Promise<void> => {
    ended ??= (async () => {
      closing.abort(new BlockError('CLOSED', 'the agent is closing'))
      care.close()
      keeper.close()
      const { mode = 'clean', signal } = options
      const waitsOf = ({ id }: BlockDevicePair): string => keeper.waits(id)
      // Each comes to its end though another fails.
      const [first] = await Promise.allSettled([endPairs(agent.pairs, { mode, signal, report, waits: waitsOf })])
      const [second] = await Promise.allSettled([agent.close(options)])
      const [third] = await Promise.allSettled([transports.close(options)])
      // What was cut short has ended all the same, but for what could not be waited for.
      const failed = [first, second, third].find((end) => end.status === 'rejected' && !isCutShort(end.reason, signal))
      log.close()
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
    failures: () => keeper.failures,
    async start({ signal: asked, takeOver: replaces }: RunOptions): Promise<void> {
      const both = asked ? AbortSignal.any([asked, signal]) : signal
      let replaced = false
      if (config.control !== undefined) {
        const check = (served: readonly PairListing[]): Promise<void> => checkReach(served, config, host, hider, both)
        if (replaces) replaced = await takeOver(config.control, { report, check, signal: asked })
        // Before all else: another agent that listens there has our sockets and nodes too.
        control = await serveAgent(config.control, running, hider)
      }
      const found = await agent.rescan({ signal: both })
      const begun = await keeper.begin(true)
      const { failures, slow } = await settle(begun.makings, both)
      // Whoever uses a node that was taken over must not suffer from what is wrong with another.
      const holds = replaced || agent.pairs.some(({ kernel }) => kernel.tookOver)
      if (!holds) throwIfNothing(failures, begun, agent.pairs.length)
      const silent = found.errors.filter(({ volume, path }) => volume === undefined && path === undefined)
      const [first, ...others] = silent
      if (first !== undefined && silent.length === agent.targets.length && !holds) {
        tellScan({ ...found, errors: others })
        throw new BlockError('CONNECT_FAILED', hider.hide(lineOfError(first)))
      }
      tellScan(found)
      tellPlan(begun)
      keeper.tell([...failures, ...slow])
      for (const volume of notFound(agent.devices(), config.devices)) report(`${volume} is not there yet`)
      started = true
      agent.events.on('rescanned', follow)
    },
    async rescan(): Promise<RescanResult> {
      const found = await agent.rescan({ signal })
      const { added, removed, resized, errors, notes = [] } = found
      resizes.add(resized)
      const begun = await keeper.begin()
      const others = keeper.makings.filter((making) => !begun.makings.includes(making))
      const { failures, slow, paired } = await settle([...begun.makings, ...others], signal)
      tellScan(found)
      tellPlan(begun)
      keeper.tell([...failures, ...slow])
      const lines = [
        ...errors.map((error) => hider.hide(lineOfError(error))),
        ...problemsOf(begun),
        ...[...failures, ...slow].map(({ error }) => error.message),
      ]
      const said = notes.map((note) => hider.hide(lineOfNote(note)))
      const changed = resizes.take(agent.pairs)
      return { added, removed, paired, ...changed, errors: lines, ...(said.length > 0 && { notes: said }) }
    },
    async pairAgain(name: string): Promise<string> {
      return (await keeper.again(name)).kernel.node
    },
    async setPolicy(name: string, policy: PluginUse): Promise<string | undefined> {
      const pair = running.find(name)
      const create = await loadPolicy(policy, config.folder, host)
      const fault = probePolicy(create(), pair.paths)
      const { policy: before } = pair
      try {
        pair.setSelector(create)
      } catch (error) {
        const stays = before === '' ? 'the pair stays without one' : `${before} stays`
        throw new Error(`${describeFault(policy.use, 'update threw', error)}; ${stays}`, { cause: error })
      }
      return fault === undefined ? undefined : `${fault}; the first path serves meanwhile`
    },
    async takeDown(name: string, mode: Exclude<DetachMode, 'leave'> = 'clean'): Promise<ClosedPair> {
      // One that was lost, and is being made again, has nothing to end.
      if (!agent.pairs.some(({ id }) => id === name) && keeper.release(name)) return { stalled: false }
      const pair = find(name)
      try {
        return await closePair(pair, { mode, signal, clock: host.clock })
      } catch (error) {
        if (!isInUse(error)) throw error
        const advice = `"blockbraid down --force ${name}" removes it all the same: whoever uses it gets EIO`
        throw new BlockError('IN_USE', `${name} stays up: ${error.message}; ${advice}`, { cause: error })
      } finally {
        if (!agent.pairs.includes(pair)) keeper.release(name)
      }
    },
    async down(name: string, mode?: Exclude<DetachMode, 'leave'>): Promise<boolean> {
      return (await running.takeDown(name, mode)).stalled
    },
    async handOver(): Promise<HandOverResult> {
      if (onHandedOver === undefined)
        throw new BlockError('NOT_SUPPORTED', 'this agent is part of another program: end that program')
      const here = agent.pairs.filter((pair) => pair.state !== 'lost')
      const all = here.map(({ id, kernel }) => ({ name: id, node: kernel.node }))
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
    if (signal.aborted) return
    const { added, removed } = found
    resizes.add(found.resized)
    // What is told of something that went, or came back, does not need this line too.
    const before = telling.count('scan')
    const said = tellScan(found)
    const isNews = said === 0 && telling.count('scan') === before
    if (isNews || added.length > 0 || removed.length > 0) {
      log.repeat(`rescan: ${added.length} paths came, ${removed.length} went`, {
        topic: 'rescan',
        severity: 'info',
        atOnce: 5,
      })
    }
    keeper.begin().then(
      (begun) => {
        tellPlan(begun)
        for (const { ended } of begun.makings) void ended.then((failure) => failure && keeper.tell([failure]))
      },
      (error: unknown) => report(`rescan: ${messageOf(error)}`, 'warning'),
    )
  }
  return running
}

function isCutShort(error: unknown, signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true && BlockError.is(error) && (error.code === 'ABORTED' || error.code === 'TIMED_OUT')
}

/** What is wrong with a plan, one line each. */
function problemsOf({ refusals, fault }: Pick<Begun, 'refusals' | 'fault'>): string[] {
  // Where names cannot be kept each of those that are refused says it.
  const all = fault !== undefined && refusals.length === 0 ? [fault] : refusals
  return all.map(({ message }) => message)
}

/** Throws why an agent that has `pairs` must not start: a mistake, or nothing that it could serve. */
function throwIfNothing(failures: readonly PairFailure[], { refusals }: Begun, pairs: number): void {
  const mistake = failures.find(({ passing }) => !passing)
  if (mistake !== undefined) throw mistake.error
  if (pairs > 0) return
  const [first] = [...refusals, ...failures.map(({ error }) => error)]
  if (first !== undefined) throw first
}

function aboutError({ target, volume, path }: ScanError): string {
  return volume ?? path ?? target
}

function lineOfError({ target, volume, error }: ScanError): string {
  return volume === undefined ? `target ${target}: ${messageOf(error)}` : messageOf(error)
}

function lineOfNote({ target, place, text }: ScanNote): string {
  return `target ${target}: ${place}: ${text}`
}
