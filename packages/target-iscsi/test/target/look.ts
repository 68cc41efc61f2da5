import type { IscsiArray } from '@blockbraid/array-iscsi'
import type { DiscoveryNote, PathInfo, Target } from '@blockbraid/core'

/** What a look at a target has found, and what it says of the rest. */
export interface Look {
  /** `PORTAL LUN` of each path that was found or is known, sorted. */
  readonly seen: readonly string[]
  /** The same of those that are expected. */
  readonly unseen: readonly string[]
  readonly notes: readonly DiscoveryNote[]
}

/** Discovers, and hears the notes. */
export async function look(target: Target, again = false): Promise<Look> {
  const notes: DiscoveryNote[] = []
  const infos = await target.discover({ note: (note) => notes.push(note), again })
  return {
    seen: placesOf(infos.filter(({ unseen }) => unseen !== true)),
    unseen: placesOf(infos.filter(({ unseen }) => unseen === true)),
    notes,
  }
}

export function placesOf(infos: readonly PathInfo[]): string[] {
  return infos.map(({ address, lun }) => `${address} ${lun}`).sort()
}

/** Lets an array answer SendTargets with other text than its own. */
export function tell(array: IscsiArray, change: (text: string) => string | Buffer) {
  return array.faults.wire({
    pdu: 'textResponse',
    replace(pdu) {
      const length = pdu.readUIntBE(5, 3)
      const text = Buffer.from(change(pdu.toString('utf8', 48, 48 + length)))
      const answer = Buffer.alloc(48 + Math.ceil(text.length / 4) * 4)
      pdu.copy(answer, 0, 0, 48)
      answer.writeUIntBE(text.length, 5, 3)
      text.copy(answer, 48)
      return [answer]
    },
  })
}
