import type { GuardListing } from '../snapshot/guards.ts'
import type { PairListing } from '../snapshot/listing.ts'
import { formatAge, formatSize } from '../text/amounts.ts'
import { wrap } from '../text/facts.ts'
import { printable, shorten } from '../text/table.ts'

const SHOWN = 3
// Of a path's id, characters.
const LEAST = 12

/** What of a pair is guarded, a few lines below its name, `width` characters wide. */
export function summarizeGuards(guards: readonly GuardListing[], pair: string, width: number, now: number): string[] {
  const lines = guards.slice(0, SHOWN).flatMap((guard) => {
    const range = `  guarded: ${describeRange(guard)}: `
    const [before, behind] = ['a write through ', ` may still land (since ${formatAge(guard.since, now)})`]
    const rest = width - before.length - behind.length
    const one = rest - range.length >= LEAST
    const path = shorten(printable(guard.path), Math.max(LEAST, one ? rest - range.length : rest - 4))
    const words = `${before}${path}${behind}`
    return [
      ...(one ? [`${range}${words}`] : [range, `    ${words}`]),
      ...(guard.reason === '' ? [] : indented(guard.reason, width, 4)),
    ]
  })
  const more = guards.length - SHOWN
  return more > 0 ? [...lines, `  and ${more} more: blockbraid guards ${pair}`] : lines
}

function indented(text: string, width: number, by: number): string[] {
  return wrap(printable(text), Math.max(16, width - by)).map((line) => `${' '.repeat(by)}${line}`)
}

/** Everything that is guarded, by pair, with reasons. */
export function formatGuards(
  pairs: readonly Pick<PairListing, 'name' | 'volume' | 'guards'>[],
  width: number,
  now: number,
): string[] {
  const guarded = pairs.filter(({ guards = [] }) => guards.length > 0)
  if (guarded.length === 0) return ['nothing is guarded']
  return guarded.flatMap(({ name, volume, guards = [] }) => [
    printable(`${name}  ${volume}`),
    ...guards.flatMap((guard) => describeGuard(guard, width - 2, now).map((line) => `  ${line}`)),
  ])
}

/** A guard in words, `width` characters wide. */
export function describeGuard(guard: GuardListing, width: number, now: number): string[] {
  const held = guard.reads ? 'reads and writes wait' : 'writes wait'
  const path = `a write through ${guard.path} may still land`
  return [
    `${describeRange(guard)}: ${held}, since ${formatAge(guard.since, now)}`,
    ...[path, guard.reason].filter((text) => text !== '').flatMap((text) => indented(text, width, 2)),
  ]
}

function describeRange({ offset, length }: GuardListing): string {
  if (length !== null) return `${formatSize(length)} at ${offset}`
  return offset === 0 ? 'all of it' : `all from ${offset} on`
}
