import { isIPv6 } from 'node:net'

/** An address as a storage system tells it. */
export interface ToldAddress {
  /** DNS name, IPv4 address, or IPv6 address without brackets. */
  readonly host: string
  /** TCP port. */
  readonly port: number
  /** Portal group, where the protocol has such and it was told. */
  readonly tag: number | undefined
}

/** Whether an IPv6 address counts on one link only (RFC 4291 §2.5.6), so that it needs a zone. */
function isLinkLocal(host: string): boolean {
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
