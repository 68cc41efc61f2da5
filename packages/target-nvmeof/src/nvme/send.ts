import type { BlockDevice, DeviceCommandOptions, Path } from '@blockbraid/core'
import { BlockError } from '@blockbraid/core'
import { Feature } from './admin.ts'
import type { NvmeCommand } from './command.ts'
import { checked, EVERY_NAMESPACE } from './command.ts'
import type { NvmeAnswer } from './command-set.ts'
import { NVME } from './command-set.ts'
import { AdminOpcode, FABRICS } from './opcode.ts'

/** Whatever NVMe commands can be sent to: a device of paths that speak NVMe, or one such path. */
export type NvmeTaker = Pick<BlockDevice, 'sendCommand'> & Pick<Path, 'commands'>

/**
 * Sends an NVMe command. `data` is what to send, or how many bytes to receive. Every status is an answer. A device sends it
 * through a usable path, and through another one where it did not run, or may run twice. A wrong argument, and a command
 * that is the connection's own, is a TypeError. Rejects with ABORTED, TIMED_OUT (it may have run), CLOSED, NO_PATH,
 * NOT_SUPPORTED where no path speaks NVMe, and with IO_FAILED where a path failed before an answer, so that it is not known
 * whether the command ran.
 */
export async function sendNvme(
  to: NvmeTaker,
  command: NvmeCommand,
  data: Uint8Array | number = 0,
  options: DeviceCommandOptions = {},
): Promise<NvmeAnswer> {
  checkNvme(command, data)
  const { commands } = to
  if (commands?.protocol === NVME) return commands.send(command, data, options) as Promise<NvmeAnswer>
  if (to.sendCommand === undefined) throw new BlockError('NOT_SUPPORTED', 'this device takes no NVMe commands')
  return to.sendCommand(NVME, command, data, options) as Promise<NvmeAnswer>
}

const TO_CONTROLLER = 1
const TO_HOST = 2
const DWORDS = ['cdw10', 'cdw11', 'cdw12', 'cdw13', 'cdw14', 'cdw15'] as const

/** Throws a TypeError that names a wrong argument of an NVMe command. */
export function checkNvme(command: NvmeCommand, data: Uint8Array | number): void {
  const { admin, opcode, nsid = 0 } = command
  if (typeof admin !== 'boolean') throw new TypeError(`admin is ${admin}; it must be true or false`)
  checked('opcode', opcode, 0xff)
  checked('nsid', nsid, EVERY_NAMESPACE)
  for (const field of DWORDS) checked(field, command[field] ?? 0, 0xffff_ffff)
  if (!(data instanceof Uint8Array) && !(Number.isInteger(data) && data >= 0 && data < 2 ** 32)) {
    throw new TypeError(`data is ${data}; it must be the bytes to send, or how many to receive, below 2 ** 32`)
  }
  checkDirection(opcode, data)
  checkOwn(command)
}

// Bits 1:0 of an opcode say which way its data goes (NVMe Base 2.1 §4.1.2).
function checkDirection(opcode: number, data: Uint8Array | number): void {
  const way = opcode & 3
  const name = `opcode ${opcode.toString(16).padStart(2, '0')}h`
  if (way === (TO_CONTROLLER | TO_HOST)) throw new TypeError(`${name} sends and receives data; that is not served`)
  if (data instanceof Uint8Array) {
    if (data.length > 0 && way !== TO_CONTROLLER) throw new TypeError(`${name} sends no data; data must be a number`)
  } else if (data > 0 && way !== TO_HOST) {
    throw new TypeError(`${name} receives no data; data must be ${way === TO_CONTROLLER ? 'the bytes to send' : '0'}`)
  }
}

const OWN_OPCODES = new Map<number, string>([
  [0x00, 'Delete I/O Submission Queue'],
  [0x01, 'Create I/O Submission Queue'],
  [0x04, 'Delete I/O Completion Queue'],
  [0x05, 'Create I/O Completion Queue'],
  [AdminOpcode.AsyncEvent, 'Asynchronous Event Request'],
])
// With another keep alive timeout a fence by time would be wrong, without events changes would not be heard of.
const OWN_FEATURES = new Map<number, string>([
  [Feature.Queues, 'the number of queues'],
  [Feature.AsyncEvents, 'the asynchronous events'],
  [Feature.KeepAliveTimeout, 'the keep alive timeout'],
  [Feature.HostBehavior, 'the host behavior'],
  [Feature.HostId, 'the host identifier'],
])

/** Throws for a command that would change the connection below those who use it. */
function checkOwn({ admin, opcode, cdw10 = 0 }: NvmeCommand): void {
  const own = (what: string): never => {
    throw new TypeError(`${what} is the connection's own, and is not sent by hand`)
  }
  if (opcode === FABRICS) own('a fabrics command')
  if (!admin) return
  const name = OWN_OPCODES.get(opcode)
  if (name !== undefined) own(name)
  const feature = opcode === AdminOpcode.SetFeatures ? OWN_FEATURES.get(cdw10 & 0xff) : undefined
  if (feature !== undefined) own(`Set Features of ${feature}`)
}
