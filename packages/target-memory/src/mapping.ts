import type { Access } from '@blockbraid/core'
import type { MemoryPath } from './path.ts'
import type { Port } from './port.ts'
import type { Volume } from './volume.ts'

/** A volume at a LUN of a port, and the paths that were connected to it. */
export class Mapping {
  readonly port: Port
  readonly lun: number
  readonly volume: Volume
  readonly paths = new Set<MemoryPath>()
  access: Access = 'optimized'

  constructor(port: Port, lun: number, volume: Volume) {
    this.port = port
    this.lun = lun
    this.volume = volume
  }

  get takesIo(): boolean {
    return this.access === 'optimized' || this.access === 'non-optimized'
  }
}
