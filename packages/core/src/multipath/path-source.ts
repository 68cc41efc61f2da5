import type { PathInfo, Target } from '../target.ts'
import type { VolumeId } from '../volume-id.ts'

/** A path that a device may use: where it leads, and through which target. */
export interface PathSource {
  /** Opens it. */
  readonly target: Target
  /** As the target listed it. */
  readonly info: PathInfo
  /** Identity of the device, where it is known under another one than the path tells. */
  readonly volume?: VolumeId
  /** Somebody says that it leads to this volume: its product and serial number may differ from those of other paths. */
  readonly vouched?: boolean
}
