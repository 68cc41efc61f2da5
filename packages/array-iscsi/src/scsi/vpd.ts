import type { VolumeId } from '@blockbraid/core'
import { put16, put32 } from '@blockbraid/wire'
import { MAX_UNMAP_BLOCKS, MAX_UNMAP_DESCRIPTORS } from './changes.ts'
import type { Nexus } from './nexus.ts'

const PAGES = [0x00, 0x80, 0x83, 0xb0, 0xb1, 0xb2]

/** A page of vital product data (SPC-4 §7.8, SBC-4 §6.6); undefined where there is none of that number. */
export function vitalPage(page: number, nexus: Nexus, targetName: string): Buffer | undefined {
  const body = bodyOf(page, nexus, targetName)
  if (body === undefined) return undefined
  const head = Buffer.alloc(4)
  head[1] = page
  put16(head, 2, body.length)
  return Buffer.concat([head, body])
}

function bodyOf(page: number, nexus: Nexus, targetName: string): Buffer | undefined {
  switch (page) {
    case 0x00:
      return Buffer.from(PAGES)
    case 0x80:
      return Buffer.from(nexus.mapping.unit.serial, 'latin1')
    case 0x83:
      return designators(nexus, targetName)
    case 0xb0:
      return blockLimits(nexus)
    case 0xb1: {
      const data = Buffer.alloc(60)
      // A non-rotating medium.
      put16(data, 0, 1)
      return data
    }
    case 0xb2:
      return provisioning(nexus)
    default:
      return undefined
  }
}

/** A designation descriptor (SPC-4 §7.8.6.1). */
function designator(association: number, type: number, codeSet: number, value: Buffer, iscsi = false): Buffer {
  const head = Buffer.from([
    codeSet | (iscsi ? 0x50 : 0),
    (iscsi ? 0x80 : 0) | (association << 4) | type,
    0,
    value.length,
  ])
  return Buffer.concat([head, value])
}

function zeroEnded(text: string): Buffer {
  const bytes = Buffer.from(text, 'utf8')
  return Buffer.concat([bytes, Buffer.alloc(4 - (bytes.length % 4))])
}

/** The designator that carries an identity; none for one that is made of the serial number. */
export function identityDesignator(volume: VolumeId): Buffer | undefined {
  const at = volume.indexOf('.')
  const [kind, value] = [volume.slice(0, at), volume.slice(at + 1)]
  switch (kind) {
    case 'naa':
      return designator(0, 3, 1, Buffer.from(value, 'hex'))
    case 'eui':
      return designator(0, 2, 1, Buffer.from(value, 'hex'))
    case 'uuid':
      return designator(
        0,
        10,
        1,
        Buffer.concat([Buffer.from([0x10, 0]), Buffer.from(value.replaceAll('-', ''), 'hex')]),
      )
    case 't10':
      return designator(0, 1, 2, Buffer.from(value, 'latin1'))
    default:
      return undefined
  }
}

function designators(nexus: Nexus, targetName: string): Buffer {
  const { unit, portal } = nexus.mapping
  const identity = unit.designators ?? identityDesignator(unit.volume)
  const port = Buffer.alloc(4)
  put16(port, 2, portal.number + 1)
  const group = Buffer.alloc(4)
  put16(group, 2, portal.group)
  const tag = portal.group.toString(16).padStart(4, '0')
  return Buffer.concat([
    identity ?? Buffer.alloc(0),
    designator(1, 4, 1, port, true),
    designator(1, 5, 1, group, true),
    designator(1, 8, 3, zeroEnded(`${targetName},t,0x${tag}`), true),
    designator(2, 8, 3, zeroEnded(targetName), true),
  ])
}

function blockLimits(nexus: Nexus): Buffer {
  const { blockSize, maxTransfer, preferredBlockSize, trim, writeZeroes } = nexus.limits
  const { unmapZeroes } = nexus.mapping.unit
  const data = Buffer.alloc(60)
  put16(data, 2, Math.min(0xffff, Math.max(1, preferredBlockSize / blockSize)))
  put32(data, 4, Math.floor(maxTransfer / blockSize))
  put32(data, 8, Math.floor(maxTransfer / blockSize))
  if (unmapZeroes ? writeZeroes : trim) {
    put32(data, 16, MAX_UNMAP_BLOCKS)
    put32(data, 20, MAX_UNMAP_DESCRIPTORS)
    put32(data, 24, Math.max(1, preferredBlockSize / blockSize))
  }
  put32(data, 36, MAX_UNMAP_BLOCKS)
  return data
}

function provisioning(nexus: Nexus): Buffer {
  const { trim, writeZeroes } = nexus.limits
  const { unmapZeroes } = nexus.mapping.unit
  const unmaps = unmapZeroes ? writeZeroes : trim
  // LBPU, LBPWS, LBPWS10 and LBPRZ; thin.
  const flags = (unmaps ? 0x80 : 0) | (writeZeroes ? 0x60 : 0) | (unmaps && unmapZeroes ? 0x04 : 0)
  return Buffer.from([0, flags, unmaps ? 2 : 0, 0])
}
