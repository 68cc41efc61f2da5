/**
 * An iSCSI initiator in user space: discovery, login with CHAP and digests, SCSI disks as paths.
 * @packageDocumentation
 */
export type { ChapAlgorithm } from './login/chap.ts'
export * from './scsi/capacity.ts'
export * from './scsi/cdb.ts'
export * from './scsi/designators.ts'
export * from './scsi/inquiry.ts'
export * from './scsi/luns.ts'
export * from './scsi/ports.ts'
export * from './scsi/reservations.ts'
export * from './scsi/reserve.ts'
export * from './scsi/sense.ts'
export * from './scsi/status.ts'
export * from './scsi/vpd.ts'
export type { ChapCredentials, DigestOption, IscsiOptions } from './target/options.ts'
export type { IscsiPath } from './target/path.ts'
export type { IscsiTarget } from './target/target.ts'
export { iscsi, iscsi as default } from './target/target.ts'
export { fromUrl } from './target/url.ts'
