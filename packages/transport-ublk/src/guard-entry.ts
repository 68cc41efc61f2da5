import { systemClock } from '@blockbraid/core'
import type { Control } from './control.ts'
import { stopDevice } from './driver.ts'
import { findDevice, isServed } from './find.ts'
import { sameIdentity } from './identity.ts'
import { deleteNode } from './nodes.ts'
import { State } from './protocol.ts'
import type { DeviceInfo } from './structs.ts'
import type { UblkSystem } from './system.ts'

/** A node and the process that serves it in one word, for the process that guards it. */
export function guardEntry({ id, nameHash, volumeHash }: DeviceInfo, server: number): string {
  return [id, nameHash, volumeHash, server].join(':')
}

/**
 * Removes the node of an entry, so that whatever waits for it ends with EIO, unless it has gone or another
 * process has taken it over, which has a guard of its own. Rejects while the driver has not yet noticed the end
 * of its server.
 */
export async function removeOrphan(control: Control, system: UblkSystem, entry: string): Promise<void> {
  const [id = -1, nameHash = 0, volumeHash = 0, server = 0] = entry.split(':').map(Number)
  const found = await findDevice(control, system, id)
  if (found === undefined || !sameIdentity(found.info, { nameHash, volumeHash })) return
  const { info, record } = found
  // A successor writes its record before it serves. Newer drivers do not tell the number of a dead process.
  if (record === undefined ? ![server, -1].includes(info.pid) : record.pid !== server) return
  if (isServed(found, system)) return
  // The driver would wait for requests that nobody answers any more.
  if (info.state === State.Live) throw new Error(`the driver still waits for process ${server}`)
  await stopDevice(control, info)
  await deleteNode({ control, system, clock: systemClock }, info)
}
