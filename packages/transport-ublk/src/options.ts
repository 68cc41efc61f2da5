import { MAX_DEPTH, MAX_QUEUES, MAX_TRANSFER } from './protocol.ts'

/** Options of the ublk transport. */
export interface UblkOptions {
  /**
   * Hardware queues of a node; the kernel makes no more than there are processors. All are served by one
   * thread, so that more than one rarely helps. @defaultValue 1
   */
  queues?: number
  /** Requests that a queue has under way at most, 1 to 4096. @defaultValue 128 */
  depth?: number
  /**
   * Bytes of the largest single transfer, 4096 to 32 MiB; less where the device takes less. Each request of
   * each queue has a buffer of that size, whose memory is taken when it is first used. @defaultValue 524288
   */
  maxTransfer?: number
  /**
   * Milliseconds that I/O on a node waits for a new process when the one that served it has died; then it ends
   * with EIO and the node goes. @defaultValue 60000
   */
  takeOverTimeout?: number
  /**
   * Asks for a device without CAP_SYS_ADMIN (Linux 6.3); rules of udev must give `/dev/ublk-control` and the
   * nodes to the user. It has no take-over and no partitions, and the kernel kills the process that leaves a
   * request unanswered for 30 s. @defaultValue false
   */
  unprivileged?: boolean
  /**
   * Whether the kernel looks for partitions. Kernels that cannot leave it (those without
   * UBLK_F_NO_AUTO_PART_SCAN, before Linux 7.0) always do. @defaultValue false
   */
  partitions?: boolean
}

/** {@link UblkOptions} with everything checked and filled in. */
export interface UblkSettings {
  readonly queues: number
  readonly depth: number
  readonly maxTransfer: number | undefined
  readonly takeOverTimeout: number
  readonly unprivileged: boolean
  readonly partitions: boolean
}

/** Bytes of all buffers of a queue; they are one mapping. */
const MAX_MEMORY = 4 * 2 ** 30

/** Checks options and fills in what is left out. Throws TypeErrors that name the field. */
export function checkOptions(options: UblkOptions): UblkSettings {
  if (typeof options !== 'object' || options === null) throw wrong('options', options, 'an object')
  const settings: UblkSettings = {
    queues: integer('queues', options.queues, 1, 1, MAX_QUEUES),
    depth: integer('depth', options.depth, 128, 1, MAX_DEPTH),
    maxTransfer:
      options.maxTransfer === undefined
        ? undefined
        : integer('maxTransfer', options.maxTransfer, 0, 4096, MAX_TRANSFER),
    takeOverTimeout: integer('takeOverTimeout', options.takeOverTimeout, 60_000, 0, 86_400_000),
    unprivileged: flag('unprivileged', options.unprivileged),
    partitions: flag('partitions', options.partitions),
  }
  const { depth, maxTransfer = 0 } = settings
  if (depth * maxTransfer > MAX_MEMORY) {
    throw wrong('maxTransfer', maxTransfer, `${MAX_MEMORY / depth} or less where depth is ${depth}: 4 GiB for a queue`)
  }
  return settings
}

function wrong(field: string, value: unknown, right: string): TypeError {
  const shown = typeof value === 'string' ? JSON.stringify(value) : String(value)
  return new TypeError(`ublk: ${field} is ${shown}; it must be ${right}`)
}

function integer(field: string, value: number | undefined, standard: number, low: number, high: number): number {
  if (value === undefined) return standard
  if (!Number.isInteger(value) || value < low || value > high) {
    throw wrong(field, value, `a whole number from ${low} to ${high}`)
  }
  return value
}

function flag(field: string, value: boolean | undefined): boolean {
  if (value === undefined) return false
  if (typeof value !== 'boolean') throw wrong(field, value, 'true or false')
  return value
}
