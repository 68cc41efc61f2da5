import type { Portal } from '@blockbraid/wire'
import { portalOf, readPortal } from '@blockbraid/wire'

export type { Portal }
export { portalOf }

/** The port that IANA has given to I/O controllers of NVMe/TCP. */
export const NVME_PORT = 4420
/** The one for discovery controllers. */
export const DISCOVERY_PORT = 8009

/** Reads `host`, `host:port`, `[v6]`, `[v6]:port`, `[v6%interface]:port`. Undefined where it is anything else. */
export function parsePortal(text: string, defaultPort = NVME_PORT): Portal | undefined {
  return readPortal(text, defaultPort)
}
