import type { DeviceLimits } from '../device.ts'
import type { Path } from '../target.ts'
import type { PathSlot } from './path-slot.ts'
import { tellAlike } from './tell-alike.ts'

/**
 * Why a path that says `limits` cannot be one of a device of `deviceSize` bytes whose other `slots` are up: it tells
 * another product or serial number by the same protocol, or another size. A path that comes must tell a size that one of the others tells.
 * One that is up may be the first to tell that the volume has grown, and the device takes the least of them until all
 * agree; what becomes smaller on one path alone is taken for another disk.
 */
export function misfit(
  slot: PathSlot,
  path: Path,
  limits: DeviceLimits,
  slots: readonly PathSlot[],
  deviceSize: number,
): string | undefined {
  const others = slots.filter((other) => other !== slot && other.state === 'up')
  const first = others[0]
  if (first === undefined) return undefined
  if (slot.source.vouched !== true) {
    for (const { entry, source } of others) {
      if (!tellAlike(slot.source.info, source.info)) continue
      const its = entry.path as Path
      const difference =
        differs('product', path.product, its.product) ?? differs('serial number', path.serial, its.serial)
      if (difference !== undefined) return `${difference} on path ${entry.id}`
    }
  }
  const fits =
    slot.state === 'up'
      ? limits.size >= deviceSize
      : others.some(({ entry }) => (entry.path as Path).limits.size === limits.size)
  if (fits) return undefined
  const size = (first.entry.path as Path).limits.size
  return `its size is ${limits.size} bytes, and ${size} on path ${first.entry.id}`
}

function differs(what: string, one: string | undefined, other: string | undefined): string | undefined {
  if (one === undefined || other === undefined || one === other) return undefined
  return `its ${what} is "${one}", and "${other}"`
}
