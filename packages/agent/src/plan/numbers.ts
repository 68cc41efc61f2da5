import { fillIn, mentions } from '../config/placeholders.ts'
import type { Candidate, OtherNode, Present } from './plan.ts'
import { recordsOf, textsOf, usesNumber } from './plan.ts'

/** A number for each volume of each template that counts them. */
export function numbersOf(candidates: readonly Candidate[], present: Present): (one: Candidate) => number | null {
  const counted = candidates.filter(({ config }) => usesNumber(config))
  const numbers = new Map<string, number>()
  const taken = new Set<string>()
  const place = (template: string, what: string | number): string => `${template}\0${what}`
  const give = (template: string, volume: string, n: number): void => {
    numbers.set(place(template, volume), n)
    taken.add(place(template, n))
  }
  for (const [{ name }, all] of present.paired) for (const n of all.values()) if (n !== null) taken.add(place(name, n))
  for (const one of counted) {
    const left = numberOfLeft(one, present.nodes)
    if (left === undefined || taken.has(place(one.config.name, left))) continue
    give(one.config.name, one.device.volume, left)
  }
  // Those of volumes that are gone are kept for them.
  for (const { template, volume, n } of recordsOf(present)) {
    if (n === null) continue
    if (numbers.has(place(template, volume))) taken.add(place(template, n))
    else give(template, volume, n)
  }
  for (const one of counted) {
    const { name } = one.config
    if (numbers.has(place(name, one.device.volume))) continue
    let n = 0
    while (taken.has(place(name, n)) || isNameOfAnother(one, n, present)) n++
    give(name, one.device.volume, n)
  }
  return ({ device, config }) => (usesNumber(config) ? numbers.get(place(config.name, device.volume))! : null)
}

/** The number that a device had when its node was left: it is taken over under its name only. */
function numberOfLeft({ device, config }: Candidate, nodes: readonly OtherNode[]): number | undefined {
  return nodes
    .filter(({ volume, served }) => volume === device.volume && !served)
    .flatMap(({ name }) => (name.match(/\d+/g) ?? []).map((digits) => ({ name, n: Number(digits) })))
    .find(({ name, n }) => mentions(config.name, 'n') && fillIn(config.name, textsOf(device, n)) === name)?.n
}

/** Whether a name counted up to is that of another volume, so that the next number is taken. */
function isNameOfAnother({ device, config }: Candidate, n: number, present: Present): boolean {
  if (!mentions(config.name, 'n')) return false
  const name = fillIn(config.name, textsOf(device, n))
  const others = [...present.pairs, ...present.nodes, ...recordsOf(present)]
  return others.some((other) => other.name === name && other.volume !== device.volume)
}
