import { defaultStateFolder } from './folder.ts'

/** Which agent a name belongs to. */
export interface NameOwner {
  /** Path of its control socket; an empty text where it has none. */
  readonly control: string
  /** Folder of its config. */
  readonly folder: string
}

/** That a name of a pair, or the number of a volume in a template, belongs to a volume. */
export interface NameRecord extends NameOwner {
  /** Name of the pair. */
  readonly name: string
  /** What the config has as name: numbers of each template are counted apart. */
  readonly template: string
  /** What stands for `{n}`; null where the entry does not use it. */
  readonly n: number | null
  /** Identity of the volume. */
  readonly volume: string
  /** ISO date: when the volume was first paired under the name. */
  readonly since: string
  /** ISO date: when it was last paired under it. */
  readonly seen: string
}

/** Whether a record is of this agent: one of its control socket, or of its config's folder, so that either may change. */
export function isOf(record: NameRecord, { control, folder }: NameOwner): boolean {
  return record.folder === folder || (control !== '' && record.control === control)
}

/** A day for people: `2026-11-25`. */
export function dayOf(date: string): string {
  return date.slice(0, 10)
}

/** How a name is let go, for people; `state` is the folder it is kept in, or false where the agent alone knows it. */
export function forgetCommand({ name }: NameRecord, state: string | false): string {
  if (state === false) return 'the end of this agent'
  const where = state === defaultStateFolder() ? '' : ` --state ${state}`
  return `"blockbraid names forget ${name}${where}"`
}
