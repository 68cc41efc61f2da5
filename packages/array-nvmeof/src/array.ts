import type { Host } from '@blockbraid/core'
import type { NvmeArrayOptions } from './options.ts'
import type { NvmeArray } from './types.ts'

/**
 * Starts a simulated array that speaks NVMe/TCP on real sockets. Throws a TypeError that names a wrong option;
 * rejects where an address cannot be had.
 */
export async function createNvmeArray(_options: NvmeArrayOptions, _host?: Host): Promise<NvmeArray> {
  throw new Error('not built')
}
