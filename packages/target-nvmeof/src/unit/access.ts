import type { Access } from '@blockbraid/core'
import type { Association } from '../association/association.ts'
import { getLog, LogPage } from '../nvme/admin.ts'
import { ANA_GROUP, ANA_HEAD, anaGroupOf, anaLogLength, decodeAnaLog, LONGEST_ANA_LOG } from '../nvme/ana.ts'
import { demand } from '../nvme/ask.ts'
import { decodeController } from '../nvme/controller-data.ts'
import type { Procedure } from '../nvme/procedure.ts'
import type { Asker } from './ask.ts'
import { ask } from './ask.ts'

/** Reads the access state of a namespace at the port of an association; `group` is what Identify Namespace told. */
export async function readAccess(asker: Asker, nsid: number, group: number): Promise<Access> {
  const { ana, anaGroups } = decodeController(asker.association.controller.identify)
  if (!ana) return 'optimized'
  const log = decodeAnaLog(await sharedLog(asker, anaGroups))
  return anaGroupOf(log, nsid, group)?.access ?? 'unavailable'
}

/** A read of the log that runs, and the one that begins when it has ended. */
interface Reading {
  readonly log: Promise<Uint8Array>
  next: Promise<Uint8Array> | undefined
}

const readings = new WeakMap<Association, Reading>()

/** The log as it is from now on: many who ask at once share one read, and none gets one that began before it asked. */
function sharedLog(asker: Asker, groups: number): Promise<Uint8Array> {
  const running = readings.get(asker.association)
  if (running === undefined) return begin(asker, groups)
  running.next ??= running.log.then(
    () => begin(asker, groups),
    () => begin(asker, groups),
  )
  return running.next
}

function begin({ association, clock }: Asker, groups: number): Promise<Uint8Array> {
  // It is nobody's alone: whoever began it may go before it has ended.
  const log = ask({ clock, association, owner: association }, () => readLog(groups)).finally(() => {
    if (readings.get(association)?.log === log && readings.get(association)?.next === undefined) {
      readings.delete(association)
    }
  })
  readings.set(association, { log, next: undefined })
  return log
}

/** Reads the whole log; the event that tells of a change stays for the association, which reads it itself. */
function* readLog(groups: number): Procedure<Uint8Array> {
  let length = Math.min(Math.max(ANA_HEAD + groups * (ANA_GROUP + 4), 4096), LONGEST_ANA_LOG)
  for (;;) {
    const { data } = yield* demand('Get Log Page, ANA', getLog(LogPage.Ana, length, { keepEvent: true }))
    const whole = anaLogLength(data)
    if (whole <= data.length || whole <= length) return data
    length = Math.min(Math.ceil(whole / 4) * 4, LONGEST_ANA_LOG)
  }
}
