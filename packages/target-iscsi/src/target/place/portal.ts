import type { Portal } from '@blockbraid/wire'
import { readPortal } from '@blockbraid/wire'

export type { Portal }

/** The port that IANA has given to iSCSI. */
export const ISCSI_PORT = 3260

/** Reads `host`, `host:port`, `[v6]`, `[v6]:port`, `[v6%interface]:port`. Undefined where it is anything else. */
export function parsePortal(text: string): Portal | undefined {
  return readPortal(text, ISCSI_PORT)
}
