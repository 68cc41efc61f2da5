import type { Extent } from '../device.ts'
import type { SignalOptions } from '../signal.ts'
import type { PathSlot } from './path-slot.ts'

/** Allocation of a range, as the first path tells it that can; all of it is taken for data where none can. */
export async function extentsOf(
  usable: readonly PathSlot[],
  offset: number,
  length: number,
  options: SignalOptions | undefined,
): Promise<readonly Extent[]> {
  for (const { entry } of usable) {
    if (entry.path?.extents === undefined) continue
    try {
      return await entry.path.extents(offset, length, options)
    } catch (error) {
      // A path that fails meanwhile says nothing of the volume: another may know.
      if (options?.signal?.aborted || entry.index !== -1) throw error
    }
  }
  return [{ length, hole: false, zero: false }]
}
