import { BlockError } from '@blockbraid/core'
import type { FoundTarget, ToldAddress } from '@blockbraid/wire'
import { parseTargetAddress } from './address.ts'
import { isIscsiName, isUsableName } from './names.ts'
import { shown, splitText } from './text.ts'

/** Hears of an entry that is left out, in words. */
export type OnOdd = (what: string) => void

const limit = 10_000

/**
 * Reads a whole SendTargets answer (RFC 7143 appendix C); a target named twice appears once, with the portals of both.
 * With `odd`, an entry that cannot be used costs itself alone, and a name that is not by the book is taken where it can
 * be. Without, it throws PROTOCOL, and TOO_LARGE above 10 000 portals; above 10 000 targets it throws TOO_LARGE in any case.
 */
export function parseSendTargets(bytes: Uint8Array, odd?: OnOdd): FoundTarget[] {
  const targets = new Map<string, Map<string, ToldAddress>>()
  let current: Map<string, ToldAddress> | undefined
  let portals = 0
  // The addresses of a target that is left out are left out with it.
  let skips = false
  const leaveOut = (code: 'PROTOCOL' | 'TOO_LARGE', what: string): void => {
    if (odd === undefined) throw new BlockError(code, `discovery tells ${what}`)
    odd(what)
  }
  for (const [key, value] of splitText(bytes, odd)) {
    if (key === 'TargetName') {
      current = undefined
      skips = true
      if (!(odd === undefined ? isIscsiName(value) : isUsableName(value))) {
        leaveOut('PROTOCOL', `a bad target name ${shown(value)}`)
      } else if (targets.size === limit && !targets.has(value)) {
        // No list of an array that is well: none of it is asked.
        throw new BlockError('TOO_LARGE', `discovery tells of more than ${limit} targets`)
      } else {
        skips = false
        current = targets.get(value) ?? new Map()
        targets.set(value, current)
      }
    } else if (key === 'TargetAddress' && !skips) {
      if (current === undefined) leaveOut('PROTOCOL', 'an address before a target name')
      else if (portals === limit) leaveOut('TOO_LARGE', `of more than ${limit} portals`)
      else {
        portals++
        const portal = parseTargetAddress(value)
        if (portal === undefined) leaveOut('PROTOCOL', `a bad target address ${shown(value)}`)
        else current.set(`${portal.host} ${portal.port} ${portal.tag}`, portal)
      }
    }
  }
  return [...targets].map(([name, addresses]) => ({ name, portals: [...addresses.values()] }))
}
