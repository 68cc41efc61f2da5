import { createHmac } from 'node:crypto'

// Labels of TLS 1.3 begin so (RFC 8446 §7.1).
const PREFIX = 'tls13 '
const HASH = 'sha256'
const HASH_LENGTH = 32

/**
 * HKDF-Extract without salt, then HKDF-Expand-Label with SHA-256 to 32 bytes (RFC 5869, RFC 8446 §7.1). `compat`: as nvme-cli
 * did it first, without the lengths of label and context, and with the other one the wrong way round.
 */
export function derive(key: Uint8Array, label: string, context: string, compat: boolean): Buffer {
  const extracted = createHmac(HASH, Buffer.alloc(HASH_LENGTH)).update(key).digest()
  const full = PREFIX + label
  const info = compat
    ? Buffer.concat([Buffer.of(HASH_LENGTH, 0), Buffer.from(full + context)])
    : Buffer.concat([Buffer.of(0, HASH_LENGTH), counted(full), counted(context)])
  // One block of the hash is all that is wanted.
  return createHmac(HASH, extracted).update(info).update(Buffer.of(1)).digest()
}

function counted(text: string): Buffer {
  const bytes = Buffer.from(text)
  return Buffer.concat([Buffer.of(bytes.length), bytes])
}
