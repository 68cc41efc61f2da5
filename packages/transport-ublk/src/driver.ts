import type { Clock } from '@blockbraid/core'
import { delay, Errno } from '@blockbraid/core'
import type { Control } from './control.ts'
import { refusedWith } from './errors.ts'
import { Command, Flag, SECTOR } from './protocol.ts'
import type { DeviceInfo, Parameters } from './structs.ts'
import { ANY_DEVICE, decodeInfo, decodeParameters, encodeInfo, INFO_BYTES, PARAMETERS_BYTES } from './structs.ts'

/** Milliseconds that a deleted device is waited for where somebody still has its disk open. */
const FREE_LIMIT = 1000

/** What names a device for the commands below. */
export type DeviceRef = Pick<DeviceInfo, 'id' | 'flags'>

/** Where a device's character device is. */
export function characterNode(id: number): string {
  return `/dev/ublkc${id}`
}

/** Kernel name of a device's block device. */
export function blockName(id: number): string {
  return `ublkb${id}`
}

// The driver checks the caller's rights to an unprivileged device by the path of its character device.
function pathOf({ id, flags }: DeviceRef): { path: string } | Record<string, never> {
  return (flags & Flag.UnprivilegedDevice) === 0 ? {} : { path: characterNode(id) }
}

/** Makes a device; what the driver answers may be less than was asked for. */
export async function addDevice(
  control: Control,
  asked: Omit<DeviceInfo, 'id' | 'state' | 'pid'>,
): Promise<DeviceInfo> {
  const payload = encodeInfo({ ...asked, id: ANY_DEVICE, state: 0, pid: -1 })
  return decodeInfo(await control.send(Command.AddDevice, ANY_DEVICE, { payload }))
}

/** The device of a number; undefined where there is none, or none that this process may look at. */
export async function deviceInfo(control: Control, id: number): Promise<DeviceInfo | undefined> {
  const payload = new Uint8Array(INFO_BYTES)
  try {
    return decodeInfo(await control.send(Command.GetInfo2, id, { payload, path: characterNode(id) }))
  } catch (error) {
    // Before Linux 6.3; 6.1 says ENODEV of every command that it does not know.
    const unknown =
      refusedWith(error, Errno.EOPNOTSUPP) || (control.features === undefined && refusedWith(error, Errno.ENODEV))
    if (!unknown) {
      if (refusedWith(error, Errno.ENODEV, Errno.ENOENT, Errno.EPERM, Errno.EACCES)) return undefined
      throw error
    }
  }
  try {
    return decodeInfo(await control.send(Command.GetInfo, id, { payload }))
  } catch (error) {
    if (refusedWith(error, Errno.ENODEV)) return undefined
    throw error
  }
}

/** Sets what the disk will be like; before it is started. */
export async function setParameters(control: Control, device: DeviceRef, payload: Uint8Array): Promise<void> {
  await control.send(Command.SetParameters, device.id, { payload, ...pathOf(device) })
}

/** What the disk is like. */
export async function getParameters(control: Control, device: DeviceRef): Promise<Parameters> {
  // The driver reads its length from the payload.
  const payload = new Uint8Array(PARAMETERS_BYTES)
  new DataView(payload.buffer).setUint32(0, PARAMETERS_BYTES, true)
  return decodeParameters(await control.send(Command.GetParameters, device.id, { payload, ...pathOf(device) }))
}

/** Makes the disk; its queues must have fetched, and are asked for the partition table meanwhile. */
export async function startDevice(control: Control, device: DeviceRef, pid: number): Promise<void> {
  await control.send(Command.StartDevice, device.id, { data: pid, ...pathOf(device) })
}

/** Removes the disk, after the requests that its server has; what waits beside those ends with EIO. */
export async function stopDevice(control: Control, device: DeviceRef): Promise<void> {
  await control.send(Command.StopDevice, device.id, pathOf(device))
}

/**
 * Removes a stopped device. Its number is free once nobody has the disk open; older kernels (6.6 among them) wait
 * for that, and newer ones where the device is unprivileged.
 */
export async function deleteDevice(control: Control, device: DeviceRef, clock: Clock): Promise<void> {
  try {
    try {
      await control.send(Command.DeleteDeviceAsync, device.id, pathOf(device))
    } catch (error) {
      // An unprivileged device may not be deleted this way: its rights do not list the command.
      if (!refusedWith(error, Errno.EOPNOTSUPP, Errno.EINVAL)) throw error
      const deleted = control.send(Command.DeleteDevice, device.id, pathOf(device))
      const enough = new AbortController()
      await Promise.race([deleted, delay(clock, FREE_LIMIT, enough.signal)]).finally(() => enough.abort())
    }
  } catch (error) {
    if (!refusedWith(error, Errno.ENODEV)) throw error
  }
}

/** Makes a device without a server ready for a new one. */
export async function startRecovery(control: Control, device: DeviceRef): Promise<void> {
  await control.send(Command.StartRecovery, device.id, pathOf(device))
}

/** Lets requests go on; the new queues must have fetched. */
export async function endRecovery(control: Control, device: DeviceRef, pid: number): Promise<void> {
  await control.send(Command.EndRecovery, device.id, { data: pid, ...pathOf(device) })
}

/** Whether the size of the disk can be changed. */
export function canResize(device: DeviceRef): boolean {
  return (device.flags & Flag.UpdateSize) !== 0
}

/** Changes the size of the disk, bytes. */
export async function updateSize(control: Control, device: DeviceRef, size: number): Promise<void> {
  await control.send(Command.UpdateSize, device.id, { data: size / SECTOR, ...pathOf(device) })
}

/** Ends the fetches of a device, for another server; rejects with EBUSY where one queue is full for that long. */
export async function quiesceDevice(control: Control, device: DeviceRef, milliseconds: number): Promise<void> {
  await control.send(Command.QuiesceDevice, device.id, { data: milliseconds, ...pathOf(device) })
}
