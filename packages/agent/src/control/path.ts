import { join } from 'node:path'

/** The control socket of this user where none is named. */
export function defaultControlPath(env: Readonly<Record<string, string | undefined>> = process.env): string {
  const uid = process.getuid?.() ?? 0
  if (uid === 0) return '/run/blockbraid/control.sock'
  const folder = env['XDG_RUNTIME_DIR']
  return join(folder ? join(folder, 'blockbraid') : `/tmp/blockbraid-${uid}`, 'control.sock')
}
