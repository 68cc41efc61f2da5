import type { Access } from '@blockbraid/core'
import type { Association } from '../association/association.ts'
import { readAnaLog } from '../controller/ana-log.ts'
import { anaGroupOf, decodeAnaLog } from '../nvme/ana.ts'
import type { Controller } from '../nvme/controller-data.ts'
import { decodeController } from '../nvme/controller-data.ts'
import type { Asker } from './ask.ts'
import { ask } from './ask.ts'

/** Reads the access state of a namespace at the port of an association; `group` is what Identify Namespace told. */
export async function readAccess(asker: Asker, nsid: number, group: number): Promise<Access> {
  const controller = decodeController(asker.association.controller.identify)
  if (!controller.ana) return 'optimized'
  const log = decodeAnaLog(await sharedLog(asker, controller))
  return anaGroupOf(log, nsid, group)?.access ?? 'unavailable'
}

/** A read of the log that runs, and the one that begins when it has ended. */
interface Reading {
  readonly log: Promise<Uint8Array>
  next: Promise<Uint8Array> | undefined
}

const readings = new WeakMap<Association, Reading>()

/** The log as it is from now on: many who ask at once share one read, and none gets one that began before it asked. */
function sharedLog(asker: Asker, controller: Controller): Promise<Uint8Array> {
  const running = readings.get(asker.association)
  if (running === undefined) return begin(asker, controller)
  running.next ??= running.log.then(
    () => begin(asker, controller),
    () => begin(asker, controller),
  )
  return running.next
}

function begin({ association, clock }: Asker, controller: Controller): Promise<Uint8Array> {
  // It is nobody's alone: whoever began it may go before it has ended.
  const log = ask({ clock, association, owner: association }, () => readAnaLog(controller)).finally(() => {
    if (readings.get(association)?.log === log && readings.get(association)?.next === undefined) {
      readings.delete(association)
    }
  })
  readings.set(association, { log, next: undefined })
  return log
}
