/**
 * An NBD server: exports devices of blockbraid to any NBD client, over unix sockets, TCP and TLS.
 * @packageDocumentation
 */

export type { NbdExportStats } from './export.ts'
export type { NbdOptions, NbdTlsOptions } from './options.ts'
export {
  createNbdServer,
  type NbdExport,
  type NbdExportOptions,
  type NbdServer,
  type NbdServerStats,
} from './server.ts'
export { type NbdAttachment, type NbdTransport, nbd as default, nbd } from './transport.ts'
