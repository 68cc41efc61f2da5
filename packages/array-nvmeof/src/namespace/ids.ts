import { createHash } from 'node:crypto'
import type { VolumeId } from '@blockbraid/core'
import { wrong } from '../options/checks.ts'
import type { NvmeNamespaceIds } from '../options/options.ts'

/** What a namespace says that it is; each all zero where it has none. */
export interface Identifiers {
  /** 16 bytes. */
  readonly nguid: Buffer
  /** 8 bytes. */
  readonly eui64: Buffer
  /** 16 bytes. */
  readonly uuid: Buffer
}

/** The identifiers of a volume. */
export function identifiersOf(volume: VolumeId): Identifiers {
  const [kind, text] = [volume.slice(0, volume.indexOf('.')), volume.slice(volume.indexOf('.') + 1)]
  if (kind === 'uuid') return made({ uuid: text })
  if (kind === 'eui' && text.length === 16) return made({ eui64: text })
  if ((kind === 'eui' || kind === 'naa') && text.length === 32) return made({ nguid: text })
  const hash = createHash('sha256').update(volume).digest()
  // A UUID of version 8 (RFC 9562 §5.8): made of a hash.
  hash[6] = (hash[6]! & 0x0f) | 0x80
  hash[8] = (hash[8]! & 0x3f) | 0x80
  return made({ uuid: hash.toString('hex', 0, 16) })
}

/** The identifiers that options give; throws a TypeError that names what is wrong. */
export function identifiersFrom(field: string, ids: NvmeNamespaceIds): Identifiers {
  check(`${field}.nguid`, ids.nguid, 32)
  check(`${field}.eui64`, ids.eui64, 16)
  check(`${field}.uuid`, ids.uuid, 32)
  return made(ids)
}

function check(field: string, text: string | undefined, digits: number): void {
  if (text === undefined || new RegExp(`^[0-9a-f]{${digits}}$`, 'i').test(bare(text))) return
  throw wrong(field, text, `${digits} hex digits`)
}

function made({ nguid = '', eui64 = '', uuid = '' }: NvmeNamespaceIds): Identifiers {
  return { nguid: bytesOf(nguid, 16), eui64: bytesOf(eui64, 8), uuid: bytesOf(uuid, 16) }
}

function bytesOf(text: string, length: number): Buffer {
  const bytes = Buffer.alloc(length)
  bytes.write(bare(text), 'hex')
  return bytes
}

function bare(text: string): string {
  return text.replaceAll('-', '')
}
