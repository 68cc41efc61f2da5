import type { BlockDevicePair, DetachOptions } from '@blockbraid/core'
import { BlockError } from '@blockbraid/core'
import { takeOverTime } from '../nodes/kernel-node.ts'
import { endPairs } from '../pairs/end-pairs.ts'
import type { Running } from './running.ts'
import { endSoon } from './running.ts'

/** Ends pairs, targets and transports, once: later calls wait for the first. */
export function endAll(running: Running, options: DetachOptions): Promise<void> {
  running.ended ??= end(running, options)
  return running.ended
}

async function end(running: Running, options: DetachOptions): Promise<void> {
  endSoon(running)
  const { agent, care, log, retry, transports, waits } = running
  care.close()
  retry.close()
  const { mode = 'clean', signal } = options
  const waitsOf = ({ id }: BlockDevicePair): string => waits.get(id) ?? takeOverTime({})
  // Each comes to its end though another fails.
  const [first] = await Promise.allSettled([
    endPairs(agent.pairs, { mode, signal, report: log.report, waits: waitsOf }),
  ])
  const [second] = await Promise.allSettled([agent.close(options)])
  const [third] = await Promise.allSettled([transports.close(options)])
  // What was cut short has ended all the same, but for what could not be waited for.
  const failed = [first, second, third].find((one) => one.status === 'rejected' && !isCutShort(one.reason, signal))
  log.close()
  if (failed?.status === 'rejected') throw failed.reason
}

function isCutShort(error: unknown, signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true && BlockError.is(error) && (error.code === 'ABORTED' || error.code === 'TIMED_OUT')
}
