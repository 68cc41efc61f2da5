/** Where an NBD export is. */
export interface NbdAddress {
  /** Of the export; an empty text is the default one. */
  readonly name: string
  /** Whether the URI demands TLS. */
  readonly tls: boolean
  /** Path of a unix socket; else host and port count. */
  readonly socket?: string
  /** Name or address. */
  readonly host?: string
  /** 10809 where the URI has none. */
  readonly port?: number
}

const DEFAULT_PORT = 10_809

/**
 * Reads `nbd://host[:port]/name`, `nbd+unix:///name?socket=PATH`, or the same with `nbds`. Throws a
 * TypeError that says what is wrong.
 */
export function parseNbdUri(text: string): NbdAddress {
  const [, secure, unix, rest] = /^nbd(s?)(\+unix)?:\/\/(.*)$/.exec(text) ?? []
  const wrong = (what: string): never => {
    throw new TypeError(`${text}: ${what} (wanted: nbd://host:port/name or nbd+unix:///name?socket=PATH)`)
  }
  if (rest === undefined) return wrong('not an NBD URI')
  const tls = secure === 's'
  // The schemes are none that URL knows; with http it takes hosts and ports apart.
  const placeholder = unix === undefined ? rest : `unix${rest}`
  if (!URL.canParse(`http://${placeholder}`)) return wrong('cannot be parsed')
  const url = new URL(`http://${placeholder}`)
  const name = decodeURIComponent(url.pathname.slice(1))
  if (unix !== undefined) {
    if (!rest.startsWith('/') && !rest.startsWith('?')) return wrong('has a host and a unix socket')
    const socket = url.searchParams.get('socket')
    return socket === null || socket === '' ? wrong('names no socket') : { name, tls, socket }
  }
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
  // An http URL forgets port 80, which is its default.
  const port = url.port !== '' ? Number(url.port) : /^[^/]*:80(\/|$)/.test(rest) ? 80 : DEFAULT_PORT
  return { name, tls, host, port }
}
