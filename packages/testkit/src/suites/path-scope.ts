import type { Access, BlockDevice, Path } from '@blockbraid/core'
import type { CaseFrame, SuiteTiming } from '../harness/runner.ts'
import { awaiting, closing } from '../harness/scope.ts'
import type { DeviceCapabilities, DeviceScope } from './device-scope.ts'
import { deviceFrame } from './device-scope.ts'

/** What a path says it can do, and what its author can do to it. */
export interface PathCapabilities extends DeviceCapabilities {
  /** Whether it has an `activate` method. */
  activate: boolean
  /** Whether the author gives a `setAccess` hook. */
  access: boolean
  /** Whether the author gives a `grow` hook. */
  grow: boolean
  /** Whether the author gives a `breakMedium` hook. */
  mediumErrors: boolean
  /** Whether the author gives a `setPreferred` hook. @defaultValue false */
  preferred?: boolean
  /** Whether it has a `ping` method; left out: nothing is checked. */
  ping?: boolean
  /** Whether the author gives a `dark` hook. @defaultValue false */
  dark?: boolean
}

/** What the author of a path does to the array under it. All may be asynchronous. */
export interface PathFaults {
  /** The port under the path dies: the path ends by itself. Other ports work on. */
  kill(path: Path): void | Promise<void>
  /** Commands sent through the path from now on are held by the array, which neither runs nor answers them. */
  hang(path: Path): void | Promise<void>
  /** Runs what the array still holds of that path, even if the path is closed; settles when it has. */
  release(path: Path): void | Promise<void>
  /** From now on nothing comes back through the path, and nobody is told: a black hole. */
  dark?(path: Path): void | Promise<void>
  /** Opens a path to the same volume through a port that works. */
  second(path: Path): Promise<Path>
  /** Changes the access state of the path's port. */
  setAccess?(path: Path, access: Access): void | Promise<void>
  /** The array would rather have the path's port used than others, or no longer; it is optimized before and after. */
  setPreferred?(path: Path, on: boolean): void | Promise<void>
  /** Grows the volume to `size` bytes. */
  grow?(path: Path, size: number): void | Promise<void>
  /** Makes reads of that range fail with a medium error, on every path. */
  breakMedium?(path: Path, offset: number, length: number): void | Promise<void>
}

/** What `pathSuite` needs. */
export interface PathSuiteOptions extends SuiteTiming {
  /** Gives a new path, optimized, to a volume that shares nothing with earlier ones; see deviceSuite. */
  open(): Promise<Path>
  /** Its capability manifest. */
  has: PathCapabilities
  /** What can be done to the array under it. */
  faults: PathFaults
  /** As in deviceSuite. */
  crash?(device: BlockDevice): Promise<BlockDevice>
}

/** What a path case works with. */
export interface PathScope extends DeviceScope {
  readonly has: PathCapabilities
  readonly faults: PathFaults
  open(): Promise<Path>
  /** Another path to the same volume, closed when the case ends. */
  second(path: Path): Promise<Path>
}

/** What every case of a path begins with. */
export function pathFrame(options: PathSuiteOptions): CaseFrame<PathScope> {
  const device = deviceFrame(options)
  return {
    ...device,
    begin() {
      const { has, faults } = options
      const scope: PathScope = {
        ...device.begin(),
        has,
        faults,
        open: async () => closing(scope, await awaiting(scope, 'open', options.open())),
        second: async (path) => closing(scope, await awaiting(scope, 'the hook second', faults.second(path))),
      }
      return scope
    },
  }
}
