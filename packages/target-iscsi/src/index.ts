/**
 * An iSCSI initiator in user space: discovery, login with CHAP and digests, SCSI disks as paths.
 * @packageDocumentation
 */
export type { ChapAlgorithm } from './login/chap.ts'
export type { ChapCredentials, DigestOption, IscsiOptions } from './target/options.ts'
export type { IscsiPath } from './target/path.ts'
export type { IscsiTarget } from './target/target.ts'
export { iscsi, iscsi as default } from './target/target.ts'
export { fromUrl } from './target/url.ts'
