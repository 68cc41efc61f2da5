import type { PathSelector } from '@blockbraid/core'
import { messageOf } from '@blockbraid/core'
import type { SwarmParts, SwarmPolicy } from './parts.ts'
import type { Plan } from './plan.ts'

/** A part that a schedule cannot be played on: a wrong argument, and no fault of what is judged. */
export class WrongPart extends TypeError {}

/** Throws a TypeError that names the part that is missing. */
export function checkParts(plan: Plan, parts: SwarmParts): void {
  for (const field of ['createArray', 'createTarget'] as const) {
    if (typeof parts?.[field] === 'function') continue
    throw new WrongPart(`parts.${field} is ${String(parts?.[field])}; it must be a function`)
  }
  const policies: unknown = parts.policies
  if (!Array.isArray(policies) || policies.length === 0) {
    const is = Array.isArray(policies) ? 'empty' : String(policies)
    throw new WrongPart(`parts.policies is ${is}; it must be a list of at least one policy, { name, create(host) }`)
  }
  for (const name of plan.policies ?? []) policyNamed(parts, name)
  if (plan.policies?.length === 0) throw new WrongPart('policies of the plan is empty; it must have a name at least')
}

/** The policy that a plan means by a number. */
export function policyOfNumber({ policies: names }: Plan, parts: SwarmParts, number: number): SwarmPolicy {
  if (names === undefined) return parts.policies[number % parts.policies.length]!
  return policyNamed(parts, names[number % names.length]!)
}

function policyNamed({ policies }: SwarmParts, name: string): SwarmPolicy {
  const found = policies.find((policy) => policy.name === name)
  if (found !== undefined) return found
  const has = policies.map((policy) => policy.name).join(', ')
  throw new WrongPart(`policies of the plan has ${name}, which parts.policies lacks: it has ${has}`)
}

/** Makes a policy; throws a TypeError that names it where it does not make one. */
export function madeBy({ name }: SwarmPolicy, create: () => PathSelector): PathSelector {
  let made: Partial<PathSelector> | undefined
  try {
    made = create()
  } catch (error) {
    throw new WrongPart(`parts.policies: create of ${name} threw: ${messageOf(error)}`, { cause: error })
  }
  if (typeof made?.update === 'function' && typeof made.select === 'function' && typeof made.name === 'string') {
    return made as PathSelector
  }
  throw new WrongPart(`parts.policies: create of ${name} returned no policy, { name, update(paths), select(io) }`)
}
