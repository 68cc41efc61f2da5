import { isIPv6 } from 'node:net'
import type { ToldAddress } from '@blockbraid/wire'
import { parseNumber } from './values.ts'

/** Reads `host[:port][,tag]` of a TargetAddress key (RFC 7143 §13.8), an IPv6 host in brackets. Undefined where it is anything else. */
export function parseTargetAddress(text: string): ToldAddress | undefined {
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
