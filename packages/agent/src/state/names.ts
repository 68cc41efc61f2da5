import { join } from 'node:path'
import type { NameOwner, NameRecord } from './name-record.ts'
import { isOf } from './name-record.ts'
import { changeNames, NAMES_FILE, readNames } from './names-file.ts'

/** A name that a volume is about to be paired under. */
export type NameClaim = Pick<NameRecord, 'name' | 'template' | 'n' | 'volume'>

/** What became of claims. */
export interface Claimed {
  /** Those that another volume has by now, with its record. */
  readonly refused: ReadonlyMap<NameClaim, NameRecord>
  /** Those that were not there before. */
  readonly added: readonly NameClaim[]
}

/** Which volume each name of an agent belongs to. */
export interface Names {
  /** All that is known, also of volumes that are gone. Rejects where that cannot be read. */
  list(): Promise<readonly NameRecord[]>
  /** Keeps names before they are used; another agent may have been quicker. Rejects where that cannot be written. */
  claim(claims: readonly NameClaim[]): Promise<Claimed>
  /** Forgets names that were not used after all. */
  drop(claims: readonly NameClaim[]): Promise<void>
}

/** The names of an agent in a state folder, or, where that is false, as long as it lives. */
export function createNames(folder: string | false, owner: NameOwner, now: () => Date): Names {
  let memory: readonly NameRecord[] = []
  const file = folder === false ? undefined : join(folder, NAMES_FILE)
  const change = async (work: (all: readonly NameRecord[]) => readonly NameRecord[] | undefined): Promise<void> => {
    if (file !== undefined) return changeNames(file, work)
    memory = work(memory) ?? memory
  }
  return {
    async list() {
      const all = file === undefined ? memory : await readNames(file)
      return all.filter((record) => isOf(record, owner))
    },
    async claim(claims) {
      const refused = new Map<NameClaim, NameRecord>()
      const added: NameClaim[] = []
      await change((all) => {
        let records = all
        for (const claim of claims) {
          const mine = records.filter((record) => isOf(record, owner))
          const other = mine.find((record) => isTaken(record, claim))
          if (other !== undefined) {
            refused.set(claim, other)
            continue
          }
          const seen = now().toISOString()
          const known = mine.find(({ name }) => name === claim.name)
          if (known === undefined) added.push(claim)
          const old = new Set(mine.filter((record) => isReplacedBy(record, claim)))
          const record = { ...claim, since: known?.since ?? seen, seen, ...owner }
          records = [...records.filter((one) => !old.has(one)), record]
        }
        return records === all ? undefined : records
      })
      return { refused, added }
    },
    async drop(claims) {
      if (claims.length === 0) return
      const gone = new Set(claims.map(({ name }) => name))
      await change((all) => all.filter((record) => !isOf(record, owner) || !gone.has(record.name)))
    },
  }
}

function isReplacedBy(record: NameRecord, { name, template, n, volume }: NameClaim): boolean {
  // A volume has one number in a template: that of a node that was left goes before what was kept.
  return record.name === name || (n !== null && record.template === template && record.volume === volume)
}

/** Whether a record has the name, or the number in the same template, for another volume. */
export function isTaken(record: NameRecord, { name, template, n, volume }: NameClaim): boolean {
  if (record.volume === volume) return false
  return record.name === name || (n !== null && record.template === template && record.n === n)
}
