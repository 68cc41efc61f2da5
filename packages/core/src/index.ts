/**
 * The contract of blockbraid, the multipath device and the host agent.
 * @packageDocumentation
 */
export * from './clock.ts'
export * from './device.ts'
export * from './errors.ts'
export * from './events.ts'
export * from './factory.ts'
export * from './host-agent.ts'
export * from './io.ts'
export * from './multipath/options.ts'
export * from './pair.ts'
export * from './policy.ts'
export * from './status.ts'
export * from './target.ts'
export * from './transport.ts'
export * from './volume-id.ts'
