import type { NodeRecord } from '@blockbraid/linux'
import type { Control } from './control.ts'
import { blockName, deviceInfo } from './driver.ts'
import { recordFor } from './identity.ts'
import { State } from './protocol.ts'
import type { DeviceInfo } from './structs.ts'
import type { UblkSystem } from './system.ts'

/** A device of the driver, and what is written down about it. */
export interface Found {
  readonly info: DeviceInfo
  readonly record: NodeRecord | undefined
}

/** The device of a number, if there is one. */
export async function findDevice(control: Control, system: UblkSystem, id: number): Promise<Found | undefined> {
  const info = await deviceInfo(control, id)
  if (info === undefined) return undefined
  return { info, record: recordFor(info, await system.readRecord(blockName(id))) }
}

/** Every device that this process may look at. */
export async function findDevices(control: Control, system: UblkSystem): Promise<Found[]> {
  const ids = await system.devices()
  const all = await Promise.all(ids.map((id) => findDevice(control, system, id)))
  return all.filter((found) => found !== undefined)
}

/** Whether a process serves it; a driver that has not yet noticed its end does not count. */
export function isServed({ info, record }: Found, system: UblkSystem): boolean {
  if (info.state !== State.Live) return record !== undefined && info.state === State.Dead && system.isServed(record)
  return record === undefined ? system.isAlive(info.pid) : system.isServed(record)
}
