import type { SuiteRunner } from '../harness/runner.ts'
import { registerCases } from '../harness/runner.ts'
import { transportDataCases } from './transport-data.ts'
import { transportLifecycleCases } from './transport-lifecycle.ts'
import type { TransportSuiteOptions } from './transport-scope.ts'
import { transportFrame } from './transport-scope.ts'

/** Proves that a transport carries every byte and every error, and ends as it should. */
export function transportSuite(runner: SuiteRunner, options: TransportSuiteOptions): void {
  const cases = [...transportDataCases, ...transportLifecycleCases]
  registerCases(runner, 'transport', cases, options.has, transportFrame(options), options)
}
