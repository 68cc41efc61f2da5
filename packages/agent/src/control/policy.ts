import { checkPolicy } from '../config/validate.ts'
import { findPair } from '../running/find.ts'
import type { Running } from '../running/running.ts'
import { setPolicy } from '../running/set-policy.ts'
import type { Arguments } from './protocol.ts'

/** What the exchange of a policy is answered. */
export interface PolicyResult {
  /** What the policy does wrong with the paths of the pair, so that the first one is used; left out: nothing. */
  readonly fault?: string
}

// Exchanges that are said at once, each.
const MOST = 10

/** Exchanges the policy of a pair. Throws a TypeError where its options are wrong. */
export async function exchangePolicy(
  running: Running,
  { pair, use, options: text = '{}' }: Arguments<'policy'>,
): Promise<PolicyResult> {
  const options = parseOptions(text)
  const { policy: before } = findPair(running, pair)
  const fault = await setPolicy(running, pair, { use, options: checkPolicy(use, options) })
  running.log.repeat(`${pair}: policy ${findPair(running, pair).policy} in place of ${before || 'none'}`, {
    topic: `${pair}: policy exchanged`,
    severity: 'info',
    atOnce: MOST,
  })
  return fault === undefined ? {} : { fault }
}

function parseOptions(text: string): Record<string, unknown> {
  let options: unknown
  try {
    options = JSON.parse(text)
  } catch {
    options = undefined
  }
  if (typeof options === 'object' && options !== null && !Array.isArray(options)) return { ...options }
  throw new TypeError('options must be a JSON object')
}
