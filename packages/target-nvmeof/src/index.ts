/**
 * An NVMe/TCP initiator in user space; and what NVMe commands and their answers are made of, for pass-through.
 * @packageDocumentation
 */
export type { DhchapGroup, DhchapHash } from './auth/algorithms.ts'
export type { DhchapCredentials } from './auth/credentials.ts'
export type { AdvertisedController, AdvertisedOptions } from './discovery/advertised.ts'
export { advertised } from './discovery/advertised.ts'
export type { ControllerInstance, LogOptions } from './nvme/admin.ts'
export {
  abort,
  Cns,
  crossControllerReset,
  Feature,
  getFeature,
  getLog,
  IDENTIFY_LENGTH,
  identify,
  LogPage,
  setFeature,
} from './nvme/admin.ts'
export type { AnaGroup, AnaLog } from './nvme/ana.ts'
export { AnaState, anaGroupOf, anaLogLength, decodeAnaLog } from './nvme/ana.ts'
export type { NvmeCommand, NvmeRequest } from './nvme/command.ts'
export { EVERY_NAMESPACE } from './nvme/command.ts'
export type { NvmeAnswer, NvmeCommandSet } from './nvme/command-set.ts'
export { nvmeCommands } from './nvme/command-set.ts'
export type { Controller, NvmLimits } from './nvme/controller-data.ts'
export { ControllerType, decodeController, decodeNvmLimits } from './nvme/controller-data.ts'
export type { Descriptors } from './nvme/descriptors.ts'
export { DescriptorType, decodeDescriptors } from './nvme/descriptors.ts'
export type { DiscoveryHeader, DiscoveryRecord } from './nvme/discovery-log.ts'
export {
  decodeDiscoveryHeader,
  decodeDiscoveryRecords,
  SubsystemType,
  TransportType,
} from './nvme/discovery-log.ts'
export type { ErrorEntry } from './nvme/error-log.ts'
export { decodeErrorLog } from './nvme/error-log.ts'
export { namespaceIdOf } from './nvme/identity.ts'
export type { NvmeRange } from './nvme/io.ts'
export { compare, deallocate, flush, read, verify, write, writeZeroes } from './nvme/io.ts'
export type { Namespace } from './nvme/namespace-data.ts'
export { decodeNamespace } from './nvme/namespace-data.ts'
export { decodeNamespaceList } from './nvme/namespace-list.ts'
export { AdminOpcode, IoOpcode } from './nvme/opcode.ts'
export type { Completion } from './nvme/procedure.ts'
export { versionText } from './nvme/properties.ts'
export type { NvmeRegistrant, NvmeReservations } from './nvme/reservations.ts'
export { decodeReservations } from './nvme/reservations.ts'
export * from './nvme/reserve.ts'
export type { ResetEntry } from './nvme/reset-log.ts'
export { decodeResetLog } from './nvme/reset-log.ts'
export type { NvmeTaker } from './nvme/send.ts'
export { sendNvme } from './nvme/send.ts'
export type { SmartLog } from './nvme/smart-log.ts'
export { decodeSmartLog } from './nvme/smart-log.ts'
export type { StatusRow, Verdict } from './nvme/status.ts'
export { Action, describeStatus, judge, News, StatusType, statusTable } from './nvme/status.ts'
export type { HostIdentity } from './options/host-identity.ts'
export { hostOf, machineHost } from './options/host-identity.ts'
export type { NvmeofOptions } from './options/options.ts'
export { scout } from './options/scout.ts'
export { fromUrl } from './options/url.ts'
export type { NvmePath } from './path/path.ts'
export type { Portal } from './place/portal.ts'
export type { NvmeofTarget } from './target.ts'
export { nvmeof, nvmeof as default } from './target.ts'
export type { TlsOptions } from './tls/psk.ts'
