import { lstat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { BlockError } from '@blockbraid/core'

/** The control socket of this user where none is named. */
export function defaultControlPath(env: Readonly<Record<string, string | undefined>> = process.env): string {
  const uid = process.getuid?.() ?? 0
  if (uid === 0) return '/run/blockbraid/control.sock'
  const folder = env['XDG_RUNTIME_DIR']
  return join(folder ? join(folder, 'blockbraid') : `/tmp/blockbraid-${uid}`, 'control.sock')
}

/** Rejects with DENIED where the folder of the default socket in /tmp, which anybody can make, is not this user's. */
export async function refuseForeign(path: string): Promise<void> {
  const folder = dirname(path)
  if (!folder.startsWith('/tmp/blockbraid-')) return
  const stats = await lstat(folder).catch(() => undefined)
  if (stats === undefined) return
  if (stats.isDirectory() && stats.uid === process.getuid?.() && (stats.mode & 0o022) === 0) return
  const message = `${folder} belongs to another user or is open to others: remove it, or name a socket with --control`
  throw new BlockError('DENIED', message)
}
