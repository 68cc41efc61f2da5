import type { SuiteRunner } from '../harness/runner.ts'
import { registerCases } from '../harness/runner.ts'
import { deviceCases } from './device.ts'
import { pathAccessCases } from './path-access-cases.ts'
import { pathCases } from './path-cases.ts'
import type { PathSuiteOptions } from './path-scope.ts'
import { pathFrame } from './path-scope.ts'

/** Proves that a path keeps the rules of BlockDevice and of Path. */
export function pathSuite(runner: SuiteRunner, options: PathSuiteOptions): void {
  const frame = pathFrame(options)
  registerCases(runner, 'path, as a block device', deviceCases, options.has, frame, options)
  registerCases(runner, 'path', [...pathCases, ...pathAccessCases], options.has, frame, options)
}
