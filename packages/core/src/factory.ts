import type { Host } from './clock.ts'
import type { PathSelector } from './policy.ts'
import type { Target } from './target.ts'
import type { Transport } from './transport.ts'

/** Default export of a policy package: makes a selector of options from a config file. */
export type PolicyFactory<Options extends object = Record<string, unknown>> = (
  options?: Options,
  host?: Host,
) => PathSelector

/** Default export of a target package. */
export type TargetFactory<Options extends object = Record<string, unknown>> = (options: Options, host?: Host) => Target

/**
 * Named export `scout` of a target package: the options of a target that only looks around, beside a process that uses
 * `options` and must not notice it.
 */
export type TargetScout<Options extends object = Record<string, unknown>> = (options: Options) => Options

/** Default export of a transport package. */
export type TransportFactory<Options extends object = Record<string, unknown>> = (
  options: Options,
  host?: Host,
) => Transport
