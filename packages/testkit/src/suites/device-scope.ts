import type { BlockDevice } from '@blockbraid/core'
import type { CaseFrame, SuiteTiming } from '../harness/runner.ts'
import type { Scope } from '../harness/scope.ts'
import { closing, scopeFrame } from '../harness/scope.ts'

/** What a device says it can do: its capability manifest, and the only way to skip a case. */
export interface DeviceCapabilities {
  /** As in its limits. */
  trim: boolean
  /** As in its limits. */
  writeZeroes: boolean
  /** As in its limits. */
  fua: boolean
  /** As in its limits. */
  writeCache: boolean
  /** As in its limits; default false. A read-only device is spared every case that writes. */
  readOnly?: boolean
  /** Whether it has an `extents` method. */
  extents: boolean
  /** Whether the author gives a `crash` hook, without which durability cannot be seen. */
  crash?: boolean
}

/** What {@link deviceSuite} needs. */
export interface DeviceSuiteOptions extends SuiteTiming {
  /** Gives a new device that shares nothing with earlier ones: at least 64 blocks, of any contents. */
  open(): Promise<BlockDevice>
  /** Its capability manifest. */
  has: DeviceCapabilities
  /** Cuts the power under an open device, and gives a new device on what has survived. */
  crash?(device: BlockDevice): Promise<BlockDevice>
}

/** What a device case works with. */
export interface DeviceScope extends Scope {
  readonly options: DeviceSuiteOptions
  /** Opens a fresh device, closed when the case ends. */
  open(): Promise<BlockDevice>
}

/** Frames the cases of a device suite. */
export function deviceFrame(options: DeviceSuiteOptions): CaseFrame<DeviceScope> {
  return {
    ...scopeFrame,
    begin() {
      const scope: DeviceScope = {
        ...scopeFrame.begin(),
        options,
        open: async () => closing(scope, await options.open()),
      }
      return scope
    },
  }
}

/** Whether the cases that write apply. */
export const writable = (has: DeviceCapabilities): boolean => has.readOnly !== true
