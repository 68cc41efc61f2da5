import type { SuiteCase, SuiteRunner } from '../harness/runner.ts'
import { registerCases } from '../harness/runner.ts'
import { basicCases } from './device-basics.ts'
import { dataCases } from './device-data.ts'
import { durabilityCases } from './device-durability.ts'
import { lifecycleCases } from './device-lifecycle.ts'
import type { DeviceCapabilities, DeviceScope, DeviceSuiteOptions } from './device-scope.ts'
import { deviceFrame } from './device-scope.ts'

/** Every case that holds for a block device. */
export const deviceCases: readonly SuiteCase<DeviceCapabilities, DeviceScope>[] = [
  ...basicCases,
  ...dataCases,
  ...durabilityCases,
  ...lifecycleCases,
]

/** Proves that a device keeps the rules of BlockDevice. */
export function deviceSuite(runner: SuiteRunner, options: DeviceSuiteOptions): void {
  registerCases(runner, 'block device', deviceCases, options.has, deviceFrame(options), options)
}
