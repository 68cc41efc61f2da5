/**
 * Kernel block devices `/dev/nbdN` of devices of blockbraid, and an NBD server that exports them to any NBD
 * client, over unix sockets, TCP and TLS.
 * @packageDocumentation
 */

export type { NbdAttachment, NbdTransport } from './attachment.ts'
export type { NbdExportStats } from './export.ts'
export type { NbdKernelOptions } from './kernel/options.ts'
export type { NbdOptions, NbdTlsOptions } from './options.ts'
export {
  createNbdServer,
  type NbdExport,
  type NbdExportOptions,
  type NbdServer,
  type NbdServerStats,
} from './server.ts'
export { type NbdTransportOptions, nbd as default, nbd } from './transport.ts'
