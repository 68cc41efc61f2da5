import { homedir } from 'node:os'
import { join } from 'node:path'

/**
 * Folder of what an agent keeps beyond a restart of the host: $BLOCKBRAID_STATE; else `state` below $BLOCKBRAID_RUN,
 * where that is set; else `/var/lib/blockbraid`, which is root's, or `blockbraid` below $XDG_STATE_HOME or
 * `~/.local/state` for another user.
 */
export function defaultStateFolder(env: Readonly<Record<string, string | undefined>> = process.env): string {
  const { BLOCKBRAID_STATE: own, BLOCKBRAID_RUN: run, XDG_STATE_HOME: state, HOME: home } = env
  if (own) return own
  if (run) return join(run, 'state')
  if ((process.geteuid?.() ?? 0) === 0) return '/var/lib/blockbraid'
  return join(state || join(home || homedir(), '.local/state'), 'blockbraid')
}
