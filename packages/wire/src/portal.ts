import { isIPv6 } from 'node:net'

/** One address of a target. */
export interface Portal {
  /** DNS name, IPv4 address, or IPv6 address without brackets. */
  readonly host: string
  /** TCP port. */
  readonly port: number
  /** `host:port`, an IPv6 host in brackets, lower case; what ids are made of. */
  readonly address: string
}

/** The portal at `host` and `port`. */
export function portalOf(host: string, port: number): Portal {
  // The name of an interface, behind the %, keeps its letters.
  const name = host.replace(/^[^%]+/, (address) => address.toLowerCase())
  return { host: name, port, address: name.includes(':') ? `[${name}]:${port}` : `${name}:${port}` }
}

/** Reads `host`, `host:port`, `[v6]`, `[v6]:port`, `[v6%interface]:port`. Undefined where it is anything else. */
export function readPortal(text: string, defaultPort: number): Portal | undefined {
  const match = /^(?:\[([0-9a-fA-F:.]+(?:%[A-Za-z0-9._-]{1,32})?)\]|([A-Za-z0-9._-]{1,255}))(?::([0-9]{1,5}))?$/.exec(
    text,
  )
  if (match === null) return undefined
  const [, v6, name, portText] = match
  if (v6 !== undefined && !isIPv6(v6)) return undefined
  const port = portText === undefined ? defaultPort : Number(portText)
  if (port < 1 || port > 65535) return undefined
  return portalOf((v6 ?? name) as string, port)
}
