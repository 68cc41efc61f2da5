import { BlockError } from '@blockbraid/core'

/** Ids that a message lists before it says how many more there are. */
const LISTED = 8

/**
 * The id among `ids` that `text` means: the id itself, as it was printed shortened, or any part of it that no other one
 * has, of which a whole word goes first. Undefined where none has it; throws a TypeError that lists those that do.
 */
export function meantId(ids: readonly string[], text: string): string | undefined {
  if (text === '' || ids.includes(text)) return ids.find((id) => id === text)
  const some = text
    .split(/\.{2,3}|…/)
    .map(escaped)
    .join('.*')
  // The first form that any id has is what is meant. Behind the two dots of a cut there may be one of the id.
  const forms = [`^${text.split('..').map(escaped).join('.*')}$`, `^${some}$`, `(?<![a-z0-9])${some}(?![a-z0-9])`, some]
  for (const form of forms) {
    const expression = new RegExp(form, 'i')
    const found = ids.filter((id) => expression.test(id))
    if (found.length > 1) throw new TypeError(`"${text}" is a part of several: ${list(found)}; say more of one`)
    if (found.length === 1) return found[0]
  }
  return undefined
}

/** The path of a pair that `text` means, as {@link meantId}. Throws NOT_FOUND with the ids that there are. */
export function pathOf(pair: { id: string; paths: readonly { id: string }[] }, text: string): string {
  const ids = pair.paths.map(({ id }) => id)
  const id = meantId(ids, text)
  if (id !== undefined) return id
  throw new BlockError('NOT_FOUND', `${pair.id} has ${list(ids) || 'no paths'}; it has no path ${text}`)
}

function list(ids: readonly string[]): string {
  const more = ids.length > LISTED ? ` and ${ids.length - LISTED} more` : ''
  return `${ids.slice(0, LISTED).join(', ')}${more}`
}

function escaped(text: string): string {
  return text.replace(/[^\w]/g, '\\$&')
}
