import { messageOf } from '@blockbraid/core'
import { makeAgain } from '../pairs/again.ts'
import { findPair } from '../running/find.ts'
import { handOver } from '../running/hand-over.ts'
import { rescan } from '../running/rescan.ts'
import type { Running } from '../running/running.ts'
import type { TakeDownMode } from '../running/take-down.ts'
import { takeDown } from '../running/take-down.ts'
import type { ReleasedGuards } from '../snapshot/guards.ts'
import { listGuards } from '../snapshot/guards.ts'
import type { Listing } from '../snapshot/listing.ts'
import { listPairs, listRefused } from '../snapshot/listing.ts'
import { listMissing } from '../snapshot/missing.ts'
import { countPairs } from '../snapshot/stats.ts'
import { explainPair } from '../snapshot/why.ts'
import type { Answer } from './answers.ts'
import { limitPair } from './limit.ts'
import { sendNvme } from './nvme.ts'
import { pathOf } from './path-ids.ts'
import { exchangePolicy } from './policy.ts'
import type { Arguments, Operation, Request } from './protocol.ts'
import { prove } from './prove.ts'
import { restorePath } from './restore.ts'
import { sendScsi } from './scsi.ts'
import type { ControlServer } from './server.ts'
import { serveControl } from './server.ts'
import type { StreamedAnswer } from './streamed.ts'
import { tracePair } from './trace.ts'

type Handled<Name extends Operation> = Answer<Name> | StreamedAnswer<Answer<Name>> | Promise<Answer<Name>>

/** What answers each operation. */
type Handlers = {
  readonly [Name in Operation]: (running: Running, request: Arguments<Name>) => Handled<Name>
}

/** Serves the commands that talk to a running agent. */
export function serveAgent(path: string, running: Running): Promise<ControlServer> {
  const { hider } = running
  return serveControl(path, async (request) => {
    try {
      return await handle(running, request)
    } catch (error) {
      throw new Error(hider.hide(messageOf(error)), { cause: hider.cause(error) })
    }
  })
}

function handle<Name extends Operation>(running: Running, request: Request<Name>): Handled<Name> {
  return handlers[request.op](running, request)
}

const handlers: Handlers = {
  hello: () => ({ pid: process.pid }),
  ls: list,
  stats: ({ agent, hider }) => countPairs(agent.pairs, hider.hide),
  why: ({ agent, host, hider }, { pair }) => explainPair(findPair({ agent }, pair), host.clock, Date.now(), hider.hide),
  trace: tracePair,
  rescan,
  policy: exchangePolicy,
  limit: limitPair,
  async 'path-fail'(running, request) {
    const pair = findPair(running, request.pair)
    const path = pathOf(pair, request.path)
    await pair.failPath(path)
    return { path }
  },
  'path-restore': restorePath,
  'fail-back'(running, request) {
    const pair = findPair(running, request.pair)
    const standing = (): string[] => pair.paths.filter(({ standsBack }) => standsBack === true).map(({ id }) => id)
    const before = standing()
    pair.failBack()
    const after = new Set(standing())
    return { paths: before.filter((id) => !after.has(id)) }
  },
  'release-guards': releaseGuards,
  down: (running, { pair, mode }) => takeDown(running, pair, modeOf(mode)),
  async pair(running, { pair }) {
    return { node: (await makeAgain(running, pair)).kernel.node }
  },
  'hand-over': handOver,
  scsi(running, request) {
    const pair = findPair(running, request.pair)
    const { path } = request
    return sendScsi(pair.user, path === undefined ? request : { ...request, path: pathOf(pair, path) })
  },
  nvme(running, request) {
    const pair = findPair(running, request.pair)
    const { path } = request
    return sendNvme(pair.user, path === undefined ? request : { ...request, path: pathOf(pair, path) })
  },
  prove,
}

function list({ agent, failures, hider, host }: Running): Listing {
  const { clock } = host
  const wall = Date.now()
  return {
    ...listPairs(agent.pairs, clock, wall, hider.hide),
    ...listMissing(agent.missing, [...failures.values()], clock.now(), wall, hider.hide),
    ...listRefused(agent.refused, hider.hide),
  }
}

function releaseGuards(running: Running, { pair: name }: Arguments<'release-guards'>): ReleasedGuards {
  const pair = findPair(running, name)
  const before = listGuards(pair.guards, running.host.clock, Date.now(), running.hider.hide)
  pair.releaseGuards()
  // What stands for I/O in flight stays.
  const after = new Set(pair.guards.map(({ offset, length, path }) => `${offset} ${length} ${path}`))
  const released = before.filter(({ offset, length, path }) => !after.has(`${offset} ${length ?? Infinity} ${path}`))
  return { pair: pair.id, released }
}

function modeOf(text: string | undefined): TakeDownMode {
  if (text === undefined || text === 'clean') return 'clean'
  if (text === 'force') return 'force'
  throw new TypeError(`mode is "${text.slice(0, 40)}"; it must be clean or force`)
}
