import type { Controller } from '../nvme/controller-data.ts'
import type { Capabilities } from '../nvme/properties.ts'

/** What a controller said of itself when it was connected to: what the fence, paths and people need. */
export interface ControllerFacts {
  /** Controller ID (CNTLID). */
  readonly id: number
  /** Model and serial number, trimmed. */
  readonly model: string
  readonly serial: string
  readonly firmware: string
  /** Keep Alive Timeout as read back with Get Features 0Fh, milliseconds; 0: it watches nobody. */
  readonly keepAliveTimeout: number
  /** Whether any command is a sign of life (TBKAS, CTRATT bit 6). */
  readonly trafficBased: boolean
  /** Command Quiesce Time, milliseconds; 0: it does not say. */
  readonly quiesceTime: number
  /** CCRL: cross-controller resets at once; 0: it does not do them. */
  readonly crossResets: number
  /** Controller Instance Uniquifier, and Controller Instance Random Number as 16 hex digits. */
  readonly instance: number
  readonly instanceRandom: string
  /** CAP.TO, milliseconds. */
  readonly readyTimeout: number
  /** CAP.MPSMIN, bytes: what the largest transfer is told in. */
  readonly pageSize: number
  /** Identify Controller, 4096 bytes, as it came. */
  readonly identify: Uint8Array
}

/** The facts of a controller: what it said in Identify and in its capabilities, and the Keep Alive Timeout that was read back. */
export function factsOf(
  controller: Controller,
  { readyTimeout, leastPage }: Capabilities,
  keepAliveTimeout: number,
  identify: Uint8Array,
): ControllerFacts {
  const { id, model, serial, firmware, trafficBased, quiesceTime, crossResets, instance, instanceRandom } = controller
  return {
    id,
    model,
    serial,
    firmware,
    keepAliveTimeout,
    trafficBased,
    quiesceTime,
    crossResets,
    instance,
    instanceRandom,
    readyTimeout,
    pageSize: 4096 * 2 ** leastPage,
    identify,
  }
}
