import type { Access, BlockError, DeviceLimits } from '@blockbraid/core'
import type { Sender } from './command.ts'
import type { Port } from './port.ts'
import type { Volume } from './volume.ts'

/** A path, as its array sees it. */
export interface Connected extends Sender {
  readonly mapping: Mapping
  /** Looks again at everything that decides whether commands may be executed at once. */
  refresh(): void
  /** Its access state, or whether it is preferred, may be other than it was. */
  accessChanged(): void
  limitsChanged(): void
  /** The cache was lost: the path tells so with its next command, or before. */
  cacheLost(news: string): void
  /**
   * The path ends by itself. What it has sent stays in the array; what was on its way there has arrived
   * (`arrives`), or is lost with it, as when its volume is unmapped.
   */
  fail(failure: BlockError, arrives: boolean): void
}

/** A volume at a LUN of a port, and the paths that were connected to it. */
export class Mapping {
  readonly port: Port
  readonly lun: number
  readonly volume: Volume
  readonly paths = new Set<Connected>()
  /** By host, how many lost caches of the volume it has heard of here (SAM-5 §5.14: each nexus is told). */
  readonly #heard = new Map<string, number>()
  access: Access = 'optimized'
  /** Whether the array would rather have the port used. */
  preferred = false
  /** Whether the port refuses changes, whatever the volume does. */
  isProtected = false

  constructor(port: Port, lun: number, volume: Volume) {
    this.port = port
    this.lun = lun
    this.volume = volume
  }

  /** Whether `initiator` has yet to hear here that the cache was lost; from now on it has. */
  hear(initiator: string): boolean {
    const news = (this.#heard.get(initiator) ?? 0) < this.volume.resets
    this.#heard.set(initiator, this.volume.resets)
    return news
  }

  /** What the volume can do through here. */
  limits(maxTransfer: number): DeviceLimits {
    const limits = this.volume.limits(maxTransfer, this.port.queueDepth)
    return this.isProtected ? { ...limits, readOnly: true } : limits
  }

  get takesIo(): boolean {
    return this.access === 'optimized' || this.access === 'non-optimized'
  }
}
