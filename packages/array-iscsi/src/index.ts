/**
 * A simulated iSCSI array over real sockets, with faults on the wire, for tests of initiators.
 *
 * @packageDocumentation
 */
export { createIscsiArray } from './array.ts'
export { hostile } from './faults/hostile.ts'
export type {
  CommandRule,
  FaultMatch,
  IscsiFault,
  IscsiFaults,
  LoginRule,
  TaskManagementRule,
  WireAction,
  WireRule,
} from './faults/types.ts'
export type { ChapAlgorithm, IscsiChap } from './login/chap.ts'
export type { IscsiArrayOfOptions } from './of-target.ts'
export { iscsiArrayOf } from './of-target.ts'
export type { IscsiArrayOptions, IscsiLunOptions, IscsiPortalOptions, OpenLun } from './options.ts'
export type { PduName } from './pdu/opcodes.ts'
export type {
  IscsiArray,
  IscsiCounters,
  IscsiLogEntry,
  IscsiMessage,
  IscsiPortal,
  IscsiSession,
} from './types.ts'
