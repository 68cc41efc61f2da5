/**
 * An iSCSI initiator in user space: discovery, login with CHAP and digests, SCSI disks as paths; and what SCSI
 * commands and their answers are made of, for pass-through.
 * @packageDocumentation
 */
export type { ChapAlgorithm } from './login/chap.ts'
export type { Capacity } from './scsi/capacity.ts'
export { decodeCapacity10, decodeCapacity16 } from './scsi/capacity.ts'
export type { PortGroupState, ScsiCommand } from './scsi/cdb.ts'
export {
  inquiry,
  modeSense6,
  modeSense10,
  readCapacity10,
  readCapacity16,
  reportLuns,
  reportTargetPortGroups,
  setTargetPortGroups,
  testUnitReady,
} from './scsi/cdb.ts'
export type { ScsiAnswer, ScsiCommandSet } from './scsi/command-set.ts'
export { scsiCommands } from './scsi/command-set.ts'
export type { Designator } from './scsi/designators.ts'
export { Association, CodeSet, DesignatorType } from './scsi/designators.ts'
export { volumeIdOf } from './scsi/identity.ts'
export type { Inquiry } from './scsi/inquiry.ts'
export { decodeInquiry, deviceTypeName } from './scsi/inquiry.ts'
export type { Lun } from './scsi/lun.ts'
export type { LunList } from './scsi/luns.ts'
export { decodeLuns } from './scsi/luns.ts'
export type { Mode, ModePage } from './scsi/mode.ts'
export { decodeMode6, decodeMode10 } from './scsi/mode.ts'
export type { PortGroup, PortGroups } from './scsi/ports.ts'
export { decodePortGroups } from './scsi/ports.ts'
export * from './scsi/reservations.ts'
export * from './scsi/reserve.ts'
export type { ScsiTaker } from './scsi/send.ts'
export { sendScsi } from './scsi/send.ts'
export type { Sense } from './scsi/sense.ts'
export { decodeSense, describeSense } from './scsi/sense.ts'
export type { StatusRow, Verdict } from './scsi/status.ts'
export { Action, judge, News, ScsiStatus, statusTable } from './scsi/status.ts'
export type { BlockLimits, Characteristics, Provisioning, Serial, Vpd } from './scsi/vpd.ts'
export { decodeVpd, VpdPage, vpdLength } from './scsi/vpd.ts'
export type { ChapCredentials } from './target/options/credentials.ts'
export { initiatorOf, machineInitiator } from './target/options/machine.ts'
export type { DigestOption, IscsiOptions } from './target/options/options.ts'
export { scout } from './target/options/scout.ts'
export { fromUrl } from './target/options/url.ts'
export type { IscsiPath } from './target/path/path.ts'
export type { IscsiTarget } from './target/target.ts'
export { iscsi, iscsi as default } from './target/target.ts'
