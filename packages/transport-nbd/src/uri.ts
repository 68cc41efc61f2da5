import { isIPv6 } from 'node:net'
import type { ServerSettings } from './options.ts'

const encodePath = (path: string): string => encodeURIComponent(path).replaceAll('%2F', '/')

/** The NBD URI of an export (doc/uri.md); `port` is the one that the system chose. */
export function exportUri(settings: ServerSettings, port: number, name: string): string {
  const scheme = settings.tls === undefined ? 'nbd' : 'nbds'
  const path = encodeURIComponent(name)
  if (settings.socket !== undefined) return `${scheme}+unix:///${path}?socket=${encodePath(settings.socket)}`
  const host = isIPv6(settings.host) ? `[${settings.host.replace('%', '%25')}]` : settings.host
  return `${scheme}://${host}:${port}/${path}`
}
