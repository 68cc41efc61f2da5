import { flag, integer, wrong } from '../options.ts'

/** Options of kernel nodes. */
export interface NbdKernelOptions {
  /**
   * Makes kernel block devices, `/dev/nbdN`, in place of exports; `auto` makes exports where this host cannot
   * or this process may not, and needs `socket` or `port` for them. @defaultValue false
   */
  kernel?: boolean | 'auto'
  /** Sockets between the kernel and this process, 1 to 64. @defaultValue 1 */
  connections?: number
  /**
   * Milliseconds that I/O on a node waits for a new process after the death of the one that serves it; then it
   * ends with EIO and the node goes. Rounded up to seconds. @defaultValue 60000
   */
  takeOverTimeout?: number
  /**
   * Milliseconds, from 1000: how often the kernel looks whether requests that a dead process has not answered
   * can be sent to a new one. Without effect where `requestTimeout` is not 0. @defaultValue 5000
   */
  resendInterval?: number
  /**
   * Milliseconds after which the kernel drops a connection that has not answered a request, and sends the
   * request again; rounded up to seconds, 0 for never. A request is answered only if the device does it
   * within this time: use well more than the device's `noPathTimeout`.
   * @defaultValue 0; 60000 where there are several connections, as the kernel has no mode without it then
   */
  requestTimeout?: number
  /** Looks for partitions once the node is there, where the kernel has not by itself. @defaultValue false */
  partitions?: boolean
  /** Tells the kernel that seeks are slow; from Linux 6.11 on. @defaultValue false */
  rotational?: boolean
}

/** {@link NbdKernelOptions} with everything checked and filled in; times are milliseconds. */
export interface KernelSettings {
  readonly connections: number
  readonly takeOverTimeout: number
  readonly resendInterval: number
  readonly requestTimeout: number
  readonly partitions: boolean
  readonly rotational: boolean
  readonly readOnly: boolean
}

const HOUR = 3_600_000

/** Where a kernel makes the nodes, these say nothing. */
const EXPORTS_ONLY = [
  'socket',
  'socketMode',
  'host',
  'port',
  'tls',
  'simpleReplies',
  'maxConnections',
  'maxRequests',
  'maxInflightBytes',
  'handshakeTimeout',
]
const KERNEL_ONLY = [
  'connections',
  'takeOverTimeout',
  'resendInterval',
  'requestTimeout',
  'partitions',
  'rotational',
] as const satisfies readonly (keyof NbdKernelOptions)[]

/** Which of the two is made; throws TypeErrors for options that the choice leaves without a meaning. */
export function checkKernelMode(options: NbdKernelOptions & { [option: string]: unknown }): boolean | 'auto' {
  const { kernel = false } = options
  if (kernel !== true && kernel !== false && kernel !== 'auto') throw wrong('kernel', kernel, 'true, false or auto')
  const useless = kernel === true ? EXPORTS_ONLY : kernel === false ? KERNEL_ONLY : []
  for (const field of useless) {
    if (options[field] === undefined) continue
    throw wrong(
      field,
      options[field],
      kernel ? 'left out where kernel is true' : 'left out unless kernel is true or auto',
    )
  }
  return kernel
}

/** Checks the options of kernel nodes and fills in what is left out. Throws TypeErrors that name the field. */
export function checkKernelOptions(options: NbdKernelOptions & { readOnly?: boolean }): KernelSettings {
  const connections = integer('connections', options.connections, 1, 1, 64)
  return {
    connections,
    takeOverTimeout: integer('takeOverTimeout', options.takeOverTimeout, 60_000, 1000, HOUR),
    resendInterval: integer('resendInterval', options.resendInterval, 5000, 1000, HOUR),
    requestTimeout: requestTimeout(options.requestTimeout, connections),
    partitions: flag('partitions', options.partitions, false),
    rotational: flag('rotational', options.rotational, false),
    readOnly: flag('readOnly', options.readOnly, false),
  }
}

function requestTimeout(value: number | undefined, connections: number): number {
  if (value === 0 && connections > 1) throw wrong('requestTimeout', 0, 'above 0 where there are several connections')
  if (value === 0) return 0
  return integer('requestTimeout', value, connections > 1 ? 60_000 : 0, 1000, HOUR)
}
