import type { RunningAgent } from '../run.ts'
import type { ControlServer } from './server.ts'
import { serveControl } from './server.ts'
import { countPairs, listPairs } from './snapshot.ts'

/** Serves the commands that talk to a running agent. */
export function serveAgent(path: string, running: RunningAgent): Promise<ControlServer> {
  return serveControl(path, async (request) => {
    switch (request.op) {
      case 'hello':
        return { pid: process.pid }
      case 'ls':
        return listPairs(running.agent.pairs, running.host.clock, Date.now())
      case 'stats':
        return countPairs(running.agent.pairs)
      case 'rescan':
        return running.rescan()
      case 'policy':
        await running.setPolicy(request.pair, { use: request.use, options: {} })
        return {}
      case 'path-fail':
        await running.find(request.pair).failPath(request.path)
        return {}
      case 'path-restore':
        running.find(request.pair).restorePath(request.path)
        return {}
      case 'down':
        await running.down(request.pair)
        return {}
    }
  })
}
