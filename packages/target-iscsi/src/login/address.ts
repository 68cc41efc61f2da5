import { isIPv6 } from 'node:net'
import { parseNumber } from './values.ts'

/** An address of a target as a TargetAddress key tells it (RFC 7143 §13.8). */
export interface TargetAddress {
  /** DNS name, IPv4 address, or IPv6 address without brackets. */
  readonly host: string
  /** TCP port; 3260 where none is told. */
  readonly port: number
  /** Portal group tag, 0 to 65535; undefined where none is told. */
  readonly tag: number | undefined
}

/** Reads `host[:port][,tag]`, an IPv6 host in brackets. Undefined where it is anything else. */
export function parseTargetAddress(text: string): TargetAddress | undefined {
  if (text.length > 300) return undefined
  const match = /^(?:\[([^\]]+)\]|([A-Za-z0-9._-]{1,255}))(?::([0-9]{1,5}))?(?:,([0-9a-fA-FxX]{1,6}))?$/.exec(text)
  if (match === null) return undefined
  const [, v6, name, portText, tagText] = match
  if (v6 !== undefined && !isIPv6(v6)) return undefined
  const port = portText === undefined ? 3260 : Number(portText)
  if (port < 1 || port > 65535) return undefined
  const tag = tagText === undefined ? undefined : parseNumber(tagText)
  if (tagText !== undefined && (tag === undefined || tag > 65535)) return undefined
  return { host: (v6 ?? name)!, port, tag }
}

/** Whether an IPv6 address counts on one link only (RFC 4291 §2.5.6), so that it needs a zone. */
export function isLinkLocal(host: string): boolean {
  return isIPv6(host) && /^fe[89ab]/i.test(host)
}

/** `fe80::1%eth0` in its two parts; without a zone an empty text. */
export function splitZone(host: string): [address: string, zone: string] {
  const at = host.indexOf('%')
  return at < 0 ? [host, ''] : [host.slice(0, at), host.slice(at + 1)]
}

/**
 * The host of a told address as it is reached from here. A zone is a matter of each host: a link-local address counts on
 * the link of whoever told it, `teller`, and is undefined where that one is on none.
 */
export function reachedFrom(teller: string, host: string): string | undefined {
  const [address] = splitZone(host)
  if (!isLinkLocal(address)) return address
  const [own, zone] = splitZone(teller)
  return isLinkLocal(own) && zone !== '' ? `${address}%${zone}` : undefined
}
