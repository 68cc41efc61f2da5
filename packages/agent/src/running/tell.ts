import type { ScanError, ScanNote, ScanReport } from '@blockbraid/core'
import { messageOf } from '@blockbraid/core'
import type { Begun } from '../pairs/begin.ts'
import type { Running } from './running.ts'

/** Tells what a scan could not do, each once; returns how many lines were new. */
export function tellScan({ telling, hider }: Running, { errors, notes = [] }: ScanReport): number {
  return telling.tell('scan', [
    ...errors.map((error) => [aboutError(error), hider.hide(lineOfError(error))] as const),
    ...notes.map((note) => [`${note.target} ${note.place}`, hider.hide(lineOfNote(note))] as const),
  ])
}

/** Tells what is wrong with a plan, each once. */
export function tellPlan({ telling }: Running, begun: Begun): void {
  telling.tell(
    'plan',
    problemsOf(begun).map((line) => [line, line]),
  )
}

/** What is wrong with a plan, one line each. */
export function problemsOf({ refusals, fault }: Begun): string[] {
  // Where names cannot be kept each of those that are refused says it.
  const all = fault !== undefined && refusals.length === 0 ? [fault] : refusals
  return all.map(({ message }) => message)
}

/** What a target said against a scan, for people. */
export function lineOfError({ target, volume, error }: ScanError): string {
  return volume === undefined ? `target ${target}: ${messageOf(error)}` : messageOf(error)
}

/** What a target says of what it leaves out, for people. */
export function lineOfNote({ target, place, text }: ScanNote): string {
  return `target ${target}: ${place}: ${text}`
}

function aboutError({ target, volume, path }: ScanError): string {
  return volume ?? path ?? target
}
