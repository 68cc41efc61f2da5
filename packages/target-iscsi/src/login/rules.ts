import { parseNumber } from './values.ts'

/** How one operational key is negotiated (RFC 7143 §6.2). Values are texts in their shortest form. */
export interface Rule {
  /** What we propose. */
  readonly offer: string
  /** An answer that, where it was not open to the target, still means no more than Reject does. */
  readonly refusal?: string
  /** The result of the target's answer to our proposal; undefined for a value that was not open to it. */
  settle(answer: string): string | undefined
  /** The result of the target's own proposal; undefined where it leads to none. */
  respond(proposal: string): string | undefined
  /** The result without an answer: the standard's default, as far as our proposal allows it; undefined where it does not. */
  fallback(): string | undefined
}

/** One of a list; the first that suits the responder (§6.2.1). */
export function listRule(ours: readonly string[], standard: string): Rule {
  return {
    offer: ours.join(','),
    refusal: standard,
    settle: (answer) => (ours.includes(answer) ? answer : undefined),
    respond: (proposal) => proposal.split(',').find((value) => ours.includes(value)),
    fallback: () => (ours.includes(standard) ? standard : undefined),
  }
}

/** Yes or No, joined by OR or AND (§6.2.2). */
export function booleanRule(join: 'or' | 'and', ours: boolean, standard: boolean): Rule {
  const result = (theirs: boolean) => (join === 'or' ? ours || theirs : ours && theirs)
  const text = (value: boolean) => (value ? 'Yes' : 'No')
  const respond = (value: string) => (value === 'Yes' || value === 'No' ? text(result(value === 'Yes')) : undefined)
  return {
    offer: text(ours),
    settle: (answer) => (respond(answer) === answer ? answer : undefined),
    respond,
    fallback: () => text(result(standard)),
  }
}

/** A number within `low` to `high`, the smaller or the larger of the two (§6.2.1). */
export function numberRule(
  pick: 'min' | 'max',
  ours: number,
  standard: number,
  [low, high]: readonly [number, number],
): Rule {
  const result = (theirs: number) => (pick === 'min' ? Math.min(ours, theirs) : Math.max(ours, theirs))
  const read = (text: string) => {
    const value = parseNumber(text)
    return value === undefined || value < low || value > high ? undefined : value
  }
  return {
    offer: String(ours),
    settle: (answer) => {
      const value = read(answer)
      return value !== undefined && result(value) === value ? String(value) : undefined
    },
    respond: (proposal) => {
      const value = read(proposal)
      return value === undefined ? undefined : String(result(value))
    },
    fallback: () => String(result(standard)),
  }
}
