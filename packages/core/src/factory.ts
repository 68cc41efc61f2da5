import type { Host } from './clock.ts'
import type { PathSelector } from './policy.ts'
import type { Target } from './target.ts'
import type { Transport } from './transport.ts'

/** Default export of a policy package: makes a selector of options from a config file. */
export type PolicyFactory<Options extends object = Record<string, unknown>> = (
  options?: Options,
  host?: Host,
) => PathSelector

/**
 * Named export `options` of a policy package, or of a file that is one: a JSON Schema (draft 2020-12) of the options, against
 * which the agent checks them before it calls the factory. `additionalProperties: false` has unknown ones named with the
 * nearest known one; a `title`, such as "a whole number, 1 or more", is what a message says that a value must be. Core looks
 * at none of it.
 */
export interface PolicyOptions {
  /** Of the whole. */
  readonly type: 'object'
  /** Whether there may be others. */
  readonly additionalProperties?: boolean
  /** A schema for each option. */
  readonly properties: Readonly<Record<string, object>>
  /** Options that must be there. */
  readonly required?: readonly string[]
}

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
