import type { NvmeRequest } from './command.ts'
import { admin, checked, EVERY_NAMESPACE } from './command.ts'
import { AdminOpcode } from './opcode.ts'

/** What Identify asks for: Controller or Namespace Structure (NVMe Base 2.1 §5.1.13). */
export const Cns = {
  /** A namespace; the answer is for {@link decodeNamespace}. */
  Namespace: 0x00,
  /** The controller; the answer is for {@link decodeController}. */
  Controller: 0x01,
  /** Active namespaces above the one named; the answer is for {@link decodeNamespaceList}. */
  ActiveNamespaces: 0x02,
  /** Identification descriptors of a namespace; the answer is for {@link decodeDescriptors}. */
  Descriptors: 0x03,
  /** Limits of the NVM command set; the answer is for {@link decodeNvmLimits}. */
  NvmController: 0x06,
  /** A namespace, as far as every command set has it. */
  IndependentNamespace: 0x08,
} as const

/** Bytes of every Identify answer. */
export const IDENTIFY_LENGTH = 4096

/** Identify; `cns` is one of {@link Cns}. */
export function identify(cns: number, nsid = 0): NvmeRequest {
  return admin(AdminOpcode.Identify, IDENTIFY_LENGTH, {
    nsid: checked('nsid', nsid, EVERY_NAMESPACE),
    cdw10: checked('cns', cns, 0xff),
  })
}

/** Log pages (NVMe Base 2.1 §5.1.12). */
export const LogPage = {
  /** Error information; the answer is for {@link decodeErrorLog}. */
  Error: 0x01,
  /** SMART and health; the answer is for {@link decodeSmartLog}. */
  Smart: 0x02,
  /** Changed attached namespaces; the answer is for {@link decodeNamespaceList}. */
  ChangedNamespaces: 0x04,
  /** Asymmetric namespace access; the answer is for {@link decodeAnaLog}. */
  Ana: 0x0c,
  /** Cross-controller resets; the answer is for {@link decodeResetLog}. */
  CrossControllerReset: 0x1e,
  /** Discovery; the answer is for {@link decodeDiscoveryHeader}. */
  Discovery: 0x70,
} as const

/** Options of {@link getLog}. */
export interface LogOptions {
  /** Bytes from its start on; a multiple of 4. @defaultValue 0 */
  readonly offset?: number
  /** Whether the event that belongs to it stays (RAE): others of its kind then wait until it is read without. @defaultValue false */
  readonly keepEvent?: boolean
  /** Log specific parameter. @defaultValue 0 */
  readonly parameter?: number
  /** @defaultValue every namespace */
  readonly nsid?: number
}

/** Get Log Page; `length` is in bytes, a multiple of 4. */
export function getLog(page: number, length: number, options: LogOptions = {}): NvmeRequest {
  const { offset = 0, keepEvent = false, parameter = 0, nsid = EVERY_NAMESPACE } = options
  if (length % 4 !== 0 || length < 4) throw new TypeError(`length: ${length} is no multiple of 4 above 0`)
  if (offset % 4 !== 0) throw new TypeError(`offset: ${offset} is no multiple of 4`)
  const words = checked('length', length / 4 - 1, 0xffff_ffff)
  checked('offset', offset, Number.MAX_SAFE_INTEGER)
  return admin(AdminOpcode.GetLogPage, length, {
    nsid: checked('nsid', nsid, EVERY_NAMESPACE),
    cdw10:
      checked('page', page, 0xff) |
      (checked('parameter', parameter, 0x7f) << 8) |
      (keepEvent ? 0x8000 : 0) |
      ((words & 0xffff) << 16),
    cdw11: words >>> 16,
    cdw12: offset % 2 ** 32,
    cdw13: Math.floor(offset / 2 ** 32),
  })
}

/** Features (NVMe Base 2.1 §5.1.25). */
export const Feature = {
  /** Number of I/O queues. */
  Queues: 0x07,
  /** Which asynchronous events are wanted. */
  AsyncEvents: 0x0b,
  /** Keep Alive Timeout, milliseconds. */
  KeepAliveTimeout: 0x0f,
  /** Host Behavior Support. */
  HostBehavior: 0x16,
  /** Host Identifier. */
  HostId: 0x81,
} as const

/** Get Features of the current value; it comes in the result, or as `length` bytes. */
export function getFeature(feature: number, length = 0): NvmeRequest {
  return admin(AdminOpcode.GetFeatures, length, { cdw10: checked('feature', feature, 0xff) })
}

/** Set Features, until the controller is reset. */
export function setFeature(feature: number, value: number, data: Uint8Array | number = 0): NvmeRequest {
  return admin(AdminOpcode.SetFeatures, data, {
    cdw10: checked('feature', feature, 0xff),
    cdw11: checked('value', value, 0xffff_ffff),
  })
}

/** Asks for `count` I/O queues; how many there are is {@link grantedQueues} of the result. */
export function setQueues(count: number): NvmeRequest {
  const wanted = checked('count', count - 1, 0xfffe)
  return setFeature(Feature.Queues, wanted + wanted * 0x1_0000)
}

/** I/O queues that a controller grants: as many as it has both submission and completion queues for. */
export function grantedQueues(result: number): number {
  return Math.min(result & 0xffff, result >>> 16) + 1
}

/** Tells the controller that retry delays are heeded (ACRE): without it no answer has one. */
export function setHostBehavior(): NvmeRequest {
  const data = new Uint8Array(512)
  data[0] = 1
  return setFeature(Feature.HostBehavior, 0, data)
}

/** Keep Alive. */
export function keepAlive(): NvmeRequest {
  return admin(AdminOpcode.KeepAlive)
}

/** Asynchronous Event Request. */
export function asyncEventRequest(): NvmeRequest {
  return admin(AdminOpcode.AsyncEvent)
}

/** Abort of command `cid` of `queue`; bit 0 of the result is 0 where it was aborted. */
export function abort(queue: number, cid: number): NvmeRequest {
  return admin(AdminOpcode.Abort, 0, {
    cdw10: checked('queue', queue, 0xffff) + checked('cid', cid, 0xffff) * 0x1_0000,
  })
}

/** A controller of the same host in the same subsystem, as its Identify Controller told. */
export interface ControllerInstance {
  /** CNTLID. */
  readonly id: number
  /** CIU. */
  readonly instance: number
  /** CIRN, 16 hex digits. */
  readonly instanceRandom: string
}

/** Cross-Controller Reset (NVMe Base 2.3); bit 0 of the result is 1 where it is done already. */
export function crossControllerReset({ id, instance, instanceRandom }: ControllerInstance): NvmeRequest {
  if (!/^[0-9a-f]{16}$/.test(instanceRandom)) {
    throw new TypeError(`instanceRandom is ${instanceRandom}; it must be 16 hex digits`)
  }
  return admin(AdminOpcode.CrossControllerReset, 0, {
    cdw10: checked('id', id, 0xffff) + checked('instance', instance, 0xff) * 0x1_0000,
    cdw12: Number.parseInt(instanceRandom.slice(8), 16),
    cdw13: Number.parseInt(instanceRandom.slice(0, 8), 16),
  })
}
