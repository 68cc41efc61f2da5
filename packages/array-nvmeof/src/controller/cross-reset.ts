import { get16le } from '@blockbraid/wire'
import { DNR, Sc } from '../nvme/status.ts'
import type { Request } from '../request/request.ts'
import type { Controller } from './controller.ts'
import type { AdminResult } from './result.ts'

/** Dword 0 of the completion: the reset is done. */
const DONE = { result: 1 }
const BEGUN = { result: 0 }

/**
 * Cross-Controller Reset: ends another controller of the same host, by its CNTLID (ICID), CIU and CIRN. Where it is over at
 * once the completion says so, else an event does, and log page 1Eh.
 */
export function crossReset(
  controller: Controller,
  { entry }: Request,
  _data: Buffer,
  answer: (result: AdminResult) => void,
): AdminResult {
  const { host, crossResets } = controller
  const { settings, records } = host
  if (settings.crossResets === 0) return Sc.invalidOpcode | DNR
  const [id, instance, random] = [get16le(entry, 40), entry[42]!, entry.readBigUInt64LE(48)]
  if (host.resetting.has(id)) return Sc.resetInProgress
  const other = [...host.controllers()].find((one) => one.id === id)
  // Another host's, or one that is no more, is told like one that was never there.
  const named = other !== undefined && other.instance === instance && other.instanceRandom === random
  const own = other?.hostNqn === controller.hostNqn && other.hostId === controller.hostId
  if (!named || !own || id === controller.id) return Sc.invalidField | DNR
  if (crossResets.open.length >= settings.crossResets) return Sc.limitExceeded
  if (crossResets.full) return Sc.logPageFull
  records.crossResets++
  const reset = crossResets.add(id, instance)
  host.resetting.add(id)
  const immediate = settings.crossResetTold === 'immediate'
  let told = !immediate
  // What takes longer than this turn is told by an event.
  const begun = (): void => {
    if (told) return
    told = true
    answer(BEGUN)
  }
  void other.remove('crossReset').then(() => {
    reset.state = 1
    host.resetting.delete(id)
    if (!told) {
      told = true
      return answer(DONE)
    }
    controller.events.notice('crossReset')
  })
  if (!immediate) return BEGUN
  host.after(0, begun)
  return null
}
