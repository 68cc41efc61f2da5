import { BlockError } from '@blockbraid/core'
import type { TargetAddress } from './address.ts'
import { parseTargetAddress } from './address.ts'
import { printable, shown, splitText } from './text.ts'

/** A target of a SendTargets answer; without portals it is reached where the answer came from. */
export interface FoundTarget {
  /** iSCSI name. */
  readonly name: string
  readonly portals: readonly TargetAddress[]
}

const limit = 10_000

/**
 * Reads a whole SendTargets answer (RFC 7143 appendix C); a target named twice appears once, with the portals of both.
 * Throws PROTOCOL, and TOO_LARGE above 10 000 targets or 10 000 portals.
 */
export function parseSendTargets(bytes: Uint8Array): FoundTarget[] {
  const targets = new Map<string, Map<string, TargetAddress>>()
  let current: Map<string, TargetAddress> | undefined
  let portals = 0
  for (const [key, value] of splitText(bytes)) {
    if (key === 'TargetName') {
      checkName(value)
      current = targets.get(value)
      if (current === undefined) {
        if (targets.size === limit) throw new BlockError('TOO_LARGE', `discovery tells of more than ${limit} targets`)
        current = new Map()
        targets.set(value, current)
      }
    } else if (key === 'TargetAddress') {
      if (current === undefined) throw new BlockError('PROTOCOL', 'discovery tells an address before a target name')
      if (portals++ === limit) throw new BlockError('TOO_LARGE', `discovery tells of more than ${limit} portals`)
      const portal = parseTargetAddress(value)
      if (portal === undefined) throw new BlockError('PROTOCOL', `discovery tells a bad target address ${shown(value)}`)
      current.set(`${portal.host} ${portal.port} ${portal.tag}`, portal)
    }
  }
  return [...targets].map(([name, addresses]) => ({ name, portals: [...addresses.values()] }))
}

/** RFC 7143 §4.2.7: at most 223 bytes; what could upset a log or an id is refused. */
function checkName(name: string): void {
  if (!/^(?:iqn|eui|naa)\.[^\s/]+$/.test(name) || Buffer.byteLength(name) > 223 || printable(name) !== name) {
    throw new BlockError('PROTOCOL', `discovery tells a bad target name ${shown(name)}`)
  }
}
