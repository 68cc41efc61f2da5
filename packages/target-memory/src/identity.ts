import { createHash } from 'node:crypto'
import type { VolumeId } from '@blockbraid/core'

/** An identity of NAA type 6, IEEE registered extended: the same in each run, another for each array name and number. */
export function generatedId(array: string, number: number): VolumeId {
  const digits = createHash('sha256').update(`${array}\0${number}`).digest('hex').slice(0, 31)
  return `naa.6${digits}`
}
