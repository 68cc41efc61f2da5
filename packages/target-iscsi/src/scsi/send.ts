import type { BlockDevice, DeviceCommandOptions, Path } from '@blockbraid/core'
import { BlockError } from '@blockbraid/core'
import type { ScsiAnswer } from './command-set.ts'
import { SCSI } from './command-set.ts'

/** Whatever SCSI commands can be sent to: a device of paths that speak SCSI, or one such path. */
export type ScsiTaker = Pick<BlockDevice, 'sendCommand'> & Pick<Path, 'commands'>

/**
 * Sends a SCSI command of 6 to 260 bytes. `data` is what to send, or how many bytes to receive. Every status is an
 * answer. A device sends it through a usable path, and through another one where it did not run, or may run twice.
 * Rejects with ABORTED, TIMED_OUT (it may have run), CLOSED, NO_PATH, NOT_SUPPORTED where no path speaks SCSI, and with
 * IO_FAILED where a path failed before an answer, so that it is not known whether the command ran.
 */
export async function sendScsi(
  to: ScsiTaker,
  cdb: Uint8Array,
  data: Uint8Array | number = 0,
  options: DeviceCommandOptions = {},
): Promise<ScsiAnswer> {
  checkScsi(cdb, data)
  const { commands } = to
  if (commands?.protocol === SCSI) return commands.send(cdb, data, options) as Promise<ScsiAnswer>
  if (to.sendCommand === undefined) throw new BlockError('NOT_SUPPORTED', 'this device takes no SCSI commands')
  return to.sendCommand(SCSI, cdb, data, options) as Promise<ScsiAnswer>
}

/** Throws a TypeError that names a wrong argument of a SCSI command. */
export function checkScsi(cdb: Uint8Array, data: Uint8Array | number): void {
  if (!(cdb instanceof Uint8Array)) throw new TypeError(`cdb is ${typeof cdb}; it must be a Uint8Array`)
  if (cdb.length < 6 || cdb.length > 260) {
    throw new TypeError(`cdb has ${cdb.length} bytes; a command descriptor block has 6 to 260`)
  }
  if (!(data instanceof Uint8Array) && !(Number.isInteger(data) && data >= 0 && data < 2 ** 32)) {
    throw new TypeError(`data is ${data}; it must be the bytes to send, or how many to receive, below 2 ** 32`)
  }
}
