import type { KernelNode } from '@blockbraid/core'
import { BlockError, messageOf } from '@blockbraid/core'
import type { Hider } from '../config/secrets.ts'
import { ConfigError } from '../config/source.ts'
import { leftNodes } from '../nodes/left-nodes.ts'
import type { PlannedPair } from '../plan/plan.ts'
import { attachPair } from './attach.ts'
import { closePair } from './close-pair.ts'
import type { Keeping, Kept, Making, PairFailure } from './keeping.ts'
import { pairOf } from './keeping.ts'

// Opening a volume fails so where its paths do not do, or no more: they may come back.
const PASSING: ReadonlySet<string> = new Set(['NO_PATH', 'NOT_FOUND', 'CONNECT_FAILED', 'TIMED_OUT'])

/** What becomes of a pair that could not be made. */
export type Failed = (failure: PairFailure) => Promise<void>

/** Kernel nodes that this process does not serve. */
export function nodesOf({ config, loaded }: Keeping): Promise<readonly KernelNode[]> {
  return leftNodes(config, (device) => loaded.get(device)!.transport)
}

/** Begins to make a pair of which nothing is being made. */
export function makePair(
  keeping: Keeping,
  one: Kept,
  nodes: () => Promise<readonly KernelNode[]>,
  failed: Failed,
): Making {
  const making = { name: one.planned.name, ended: tryPair(keeping, one, nodes, failed) }
  one.making = making
  return making
}

/** Begins to make a pair again, unless that has begun. */
export function remakePair(keeping: Keeping, one: Kept, failed: (failure: PairFailure) => void): Making {
  return (
    one.making ??
    makePair(
      keeping,
      one,
      () => nodesOf(keeping),
      async (failure) => failed(failure),
    )
  )
}

async function tryPair(
  keeping: Keeping,
  one: Kept,
  nodes: () => Promise<readonly KernelNode[]>,
  failed: Failed,
): Promise<PairFailure | undefined> {
  const { failures, hider, host, retry } = keeping
  const { planned, state: before } = one
  const { name } = planned
  let attaching = false
  try {
    await endLost(keeping, name)
    await attachPair(keeping, planned, await nodes(), (attached) => {
      attaching = true
      countAttachment(keeping, attached)
    })
    failures.delete(name)
    await settleMade(keeping, one, before === 'lost')
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

function countAttachment(keeping: Keeping, attached: Promise<unknown>): void {
  keeping.attachments++
  const over = (): void => void keeping.attachments--
  attached.then(over, over)
}

/** Notes that a pair was made, and tells it to those who were told that it was not there. */
async function settleMade(keeping: Keeping, one: Kept, wasLost: boolean): Promise<void> {
  const { log, telling, signal, host } = keeping
  const { name } = one.planned
  const told = telling.forget('pairs', name) || wasLost
  const pair = pairOf(keeping, name)
  // Taken down meanwhile.
  if (one.state === 'down' && pair !== undefined) await closePair(pair, { mode: 'clean', signal, clock: host.clock })
  else one.state = pair?.state === 'lost' ? 'lost' : 'up'
  if (!told || one.state !== 'up') return
  const crowd = { key: 'pair up', name, many: 'pairs are up' }
  log.repeat(`${name} is up: ${pair?.kernel.node}`, { topic: `${name} up`, severity: 'info', crowd })
}

async function endLost(keeping: Keeping, name: string): Promise<void> {
  const { log, signal, host } = keeping
  const pair = pairOf(keeping, name)
  if (pair?.state !== 'lost') return
  const { loss } = await closePair(pair, { mode: 'force', signal, clock: host.clock })
  if (loss !== undefined) log.report(loss, 'error')
}

/** The error with the pair it is about and its place; a {@link ConfigError} tells that already. */
function pairError({ name, config }: PlannedPair, error: unknown, hider: Hider): Error {
  if (error instanceof ConfigError) return error
  const code = BlockError.is(error) ? error.code : 'CONNECT_FAILED'
  const place = config.at === undefined ? '' : `${config.at}: `
  const text = hider.hide(`${place}pair ${name}: ${messageOf(error)}`)
  return new BlockError(code, text, { cause: hider.cause(error) })
}
