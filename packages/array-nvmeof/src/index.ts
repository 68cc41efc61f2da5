/**
 * A simulated NVMe/TCP array over real sockets, with faults on the wire, for tests of initiators.
 *
 * @packageDocumentation
 */
export { createNvmeArray } from './array.ts'
export type { GroupName } from './auth/groups.ts'
export type { HashName } from './auth/hashes.ts'
export type { NvmeAuthOptions } from './auth/options.ts'
export { hostile, hostileData } from './faults/hostile.ts'
export type {
  CommandRule,
  ConnectRule,
  FaultMatch,
  NvmeFault,
  NvmeFaults,
  NvmeHold,
  WireAction,
  WireRule,
} from './faults/types.ts'
export type { NvmeArrayOfOptions } from './of-target.ts'
export { nvmeArrayOf } from './of-target.ts'
export type {
  NvmeArrayOptions,
  NvmeFences,
  NvmeNamespaceIds,
  NvmeNamespaceOptions,
  NvmePortOptions,
  NvmeReferral,
  OpenNamespace,
} from './options/options.ts'
export type { NvmeArray, NvmeController, NvmeCounters, NvmeEvent, NvmeLogEntry, NvmePort } from './options/types.ts'
export type { PduName } from './pdu/types.ts'
export type { NvmeTlsOptions } from './tls/keys.ts'
