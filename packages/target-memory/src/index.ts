/**
 * A simulated array in memory: volumes, controllers, ports, access states, latency, faults, and a log
 * for crash checks. The target that is always there, and the one to test multipathing on.
 * @packageDocumentation
 */
export { createMemoryArray } from './array.ts'
export type { VolumeChecksum } from './checksum.ts'
export { createChecksum } from './checksum.ts'
export type { CrashImage } from './crash-image.ts'
export type { FaultRule } from './fault.ts'
export type { CacheLoss, LogEntry } from './journal.ts'
export type { LatencyOptions, MemoryArrayOptions, PortOptions, VolumeChanges, VolumeOptions } from './options.ts'
export type { Size } from './sizes.ts'
export type { MemoryOptions, MemoryTarget } from './target.ts'
export { memory, memory as default, scout } from './target.ts'
export type {
  CacheLossOptions,
  LunStatus,
  MemoryArray,
  OnController,
  OnPort,
  PortStatus,
  Registration,
  VolumeRef,
  VolumeStatus,
  Where,
} from './types.ts'
export { fromUrl } from './url.ts'
