/**
 * What a plugin with a socket needs: connections read into pooled memory, an outbox, a listener, CRC32C, byte order,
 * and doubles of them in virtual time.
 *
 * @packageDocumentation
 */

export { get16, get24, get32, get64, put16, put24, put32, put64 } from './bytes.ts'
export { crc32c } from './crc32c.ts'
