import type { Host, Target } from '@blockbraid/core'
import type { NvmeArrayOptions, NvmePortOptions } from './options.ts'
import type { NvmeArray } from './types.ts'

/** Options of {@link nvmeArrayOf}. */
export interface NvmeArrayOfOptions extends Omit<NvmeArrayOptions, 'ports' | 'namespaces'> {
  /** Addresses, one for each port that the target has. @defaultValue free ports of 127.0.0.1 */
  ports?: readonly NvmePortOptions[]
  /** A target for each host NQN, on the same storage, so that it can tell hosts apart. @defaultValue one for all */
  targetFor?: (hostNqn: string) => Target
}

/**
 * Puts a target, such as target-memory's, behind a simulated NVMe/TCP array: each of its ports, by the address in
 * `PathInfo`, becomes a port. Every controller has paths of its own, so that what happens to them (lost links, hangs,
 * access states, other volumes) shows through NVMe, and disabling it fences them. Rejects where the target cannot be
 * discovered or an address cannot be had. The target stays the caller's.
 */
export async function nvmeArrayOf(_target: Target, _options: NvmeArrayOfOptions, _host?: Host): Promise<NvmeArray> {
  throw new Error('not built')
}
