/**
 * Kernel block devices `/dev/ublkbN` of user-space block devices, over io_uring.
 * @packageDocumentation
 */
export type { UblkOptions } from './options.ts'
export type { UblkTransport } from './transport.ts'
export { ublk as default, ublk } from './transport.ts'
