import { messageOf } from '@blockbraid/core'
import type { Hider } from '../config/secrets.ts'
import type { ControlledAgent } from '../running/running.ts'
import type { ReleasedGuards } from '../snapshot/guards.ts'
import { listGuards } from '../snapshot/guards.ts'
import { listPairs } from '../snapshot/listing.ts'
import { listMissing } from '../snapshot/missing.ts'
import { countPairs } from '../snapshot/stats.ts'
import { pathOf } from './path-ids.ts'
import { exchangePolicy } from './policy.ts'
import type { Request } from './protocol.ts'
import { prove } from './prove.ts'
import { sendScsi } from './scsi.ts'
import type { ControlServer } from './server.ts'
import { serveControl } from './server.ts'

/** Serves the commands that talk to a running agent. */
export function serveAgent(path: string, running: ControlledAgent, hider: Hider): Promise<ControlServer> {
  return serveControl(path, async (request) => {
    try {
      return await handle(running, request, hider)
    } catch (error) {
      throw new Error(hider.hide(messageOf(error)), { cause: hider.cause(error) })
    }
  })
}

function modeOf(text: string | undefined): 'clean' | 'force' {
  if (text === undefined || text === 'clean') return 'clean'
  if (text === 'force') return 'force'
  throw new TypeError(`mode is "${text.slice(0, 40)}"; it must be clean or force`)
}

function releaseGuards(running: ControlledAgent, name: string, hider: Hider): ReleasedGuards {
  const pair = running.find(name)
  const before = listGuards(pair.guards, running.host.clock, Date.now(), hider.hide)
  pair.releaseGuards()
  // What stands for I/O in flight stays.
  const after = new Set(pair.guards.map(({ offset, length, path }) => `${offset} ${length} ${path}`))
  const released = before.filter(({ offset, length, path }) => !after.has(`${offset} ${length ?? Infinity} ${path}`))
  return { pair: pair.id, released }
}

async function handle(running: ControlledAgent, request: Request, hider: Hider): Promise<unknown> {
  switch (request.op) {
    case 'hello':
      return { pid: process.pid }
    case 'ls':
      return {
        ...listPairs(running.agent.pairs, running.host.clock, Date.now(), hider.hide),
        ...listMissing(running.agent.missing, running.failures(), running.host.clock.now(), Date.now(), hider.hide),
      }
    case 'stats':
      return countPairs(running.agent.pairs, hider.hide)
    case 'rescan':
      return running.rescan()
    case 'policy':
      return exchangePolicy(running, request)
    case 'path-fail': {
      const pair = running.find(request.pair)
      const path = pathOf(pair, request.path)
      await pair.failPath(path)
      return { path }
    }
    case 'path-restore': {
      const pair = running.find(request.pair)
      const path = pathOf(pair, request.path)
      pair.restorePath(path)
      return { path }
    }
    case 'release-guards':
      return releaseGuards(running, request.pair, hider)
    case 'down':
      return running.takeDown(request.pair, modeOf(request.mode))
    case 'pair':
      return { node: await running.pairAgain(request.pair) }
    case 'hand-over':
      return running.handOver()
    case 'prove':
      return prove(running, request)
    case 'scsi': {
      const pair = running.find(request.pair)
      const { path } = request
      return sendScsi(pair.user, path === undefined ? request : { ...request, path: pathOf(pair, path) })
    }
  }
}
