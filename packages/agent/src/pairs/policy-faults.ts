import type { BlockDevicePair } from '@blockbraid/core'

const before = new WeakMap<BlockDevicePair, number>()

/** Another policy begins: what the ones before it did wrong is not its own. */
export function forgivePolicy(pair: BlockDevicePair): void {
  before.set(pair, pair.policyFaults)
}

/** How often the policy that a pair has now threw or chose what was not in its list. */
export function policyFaultsOf(pair: BlockDevicePair): number {
  return pair.policyFaults - (before.get(pair) ?? 0)
}
