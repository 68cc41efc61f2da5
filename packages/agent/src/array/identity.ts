import { createHash } from 'node:crypto'
import type { VolumeId } from '@blockbraid/core'

/**
 * The identity of a volume that was given none: the same in every run, and over both protocols: NVMe tells 16 bytes as
 * NGUID, SCSI as an EUI-64 designator.
 */
export function madeId(array: string, number: number): VolumeId {
  return `eui.${createHash('sha256').update(`blockbraid array ${array} ${number}`).digest('hex').slice(0, 32)}`
}
