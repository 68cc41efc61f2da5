import type { BlockDevice, Path } from '@blockbraid/core'

/** Whether a device is a path. */
export function isPath(device: BlockDevice): device is Path {
  return 'events' in device && 'access' in device && 'volume' in device
}

function forwardDevice(device: BlockDevice, changes: Partial<BlockDevice>): BlockDevice {
  const front: BlockDevice = {
    get limits() {
      return changes.limits ?? device.limits
    },
    submit: changes.submit ?? ((io) => device.submit(io)),
    close: changes.close ?? ((options) => device.close(options)),
  }
  const extents = changes.extents ?? device.extents?.bind(device)
  if (extents !== undefined) Object.defineProperty(front, 'extents', { value: extents, enumerable: true })
  const abandon = changes.abandon ?? device.abandon?.bind(device)
  if (abandon !== undefined) Object.defineProperty(front, 'abandon', { value: abandon, enumerable: true })
  const sendCommand = changes.sendCommand ?? device.sendCommand?.bind(device)
  if (sendCommand !== undefined) Object.defineProperty(front, 'sendCommand', { value: sendCommand, enumerable: true })
  return front
}

function forwardPath(path: Path, changes: Partial<Path>): Path {
  const front = Object.defineProperties(forwardDevice(path, changes), {
    id: { value: changes.id ?? path.id, enumerable: true },
    volume: { value: changes.volume ?? path.volume, enumerable: true },
    access: { get: () => path.access, enumerable: true },
    preferred: { get: () => changes.preferred ?? path.preferred, enumerable: true },
    transitionTime: { get: () => changes.transitionTime ?? path.transitionTime, enumerable: true },
    events: { value: changes.events ?? path.events, enumerable: true },
  }) as Path
  const fenceToken = changes.fenceToken ?? path.fenceToken
  if (fenceToken !== undefined) Object.defineProperty(front, 'fenceToken', { value: fenceToken, enumerable: true })
  const wasReset = changes.wasReset ?? path.wasReset
  if (wasReset !== undefined) Object.defineProperty(front, 'wasReset', { value: wasReset, enumerable: true })
  const commands = changes.commands ?? path.commands
  if (commands !== undefined) Object.defineProperty(front, 'commands', { value: commands, enumerable: true })
  const activate = changes.activate ?? path.activate?.bind(path)
  if (activate !== undefined) front.activate = activate
  const ping = changes.ping ?? path.ping?.bind(path)
  if (ping !== undefined) front.ping = ping
  return front
}

/** A device or path that is another one, but for `changes`. */
export function forward<D extends BlockDevice>(device: D, changes: Partial<D>): D
export function forward(device: BlockDevice, changes: Partial<BlockDevice>): BlockDevice {
  return isPath(device) ? forwardPath(device, changes) : forwardDevice(device, changes)
}
