import type { DeviceLimits } from '../device.ts'

/**
 * What a device over several paths can do: the least of them, and the sum of their queues. Paths that are read-only
 * take no part in what is done through the others.
 */
export function combineLimits(all: readonly DeviceLimits[]): DeviceLimits {
  const writable = all.filter((limits) => !limits.readOnly)
  const paths = writable.length > 0 ? writable : all
  const least = (of: readonly DeviceLimits[], pick: (limits: DeviceLimits) => number): number =>
    Math.min(...of.map(pick))
  return {
    size: least(all, (limits) => limits.size),
    blockSize: least(all, (limits) => limits.blockSize),
    preferredBlockSize: Math.max(...all.map((limits) => limits.preferredBlockSize)),
    maxTransfer: least(paths, (limits) => limits.maxTransfer),
    queueDepth: paths.reduce((sum, limits) => sum + limits.queueDepth, 0),
    writeCache: all.some((limits) => limits.writeCache),
    fua: paths.every((limits) => limits.fua),
    trim: paths.every((limits) => limits.trim),
    writeZeroes: paths.every((limits) => limits.writeZeroes),
    readOnly: writable.length === 0,
  }
}

const TOLD = ['maxTransfer', 'writeCache', 'fua', 'trim', 'writeZeroes', 'readOnly'] as const

/** Whether two devices differ in what they can do, but for their size and for how much they do at once. */
export function canOther(one: DeviceLimits, other: DeviceLimits): boolean {
  return TOLD.some((field) => one[field] !== other[field])
}

/** Whether a path with `limits` takes every I/O that a device with the limits `asked` lets through. */
export function takesAll(limits: DeviceLimits, asked: DeviceLimits): boolean {
  return (
    (!limits.readOnly || asked.readOnly) &&
    limits.maxTransfer >= asked.maxTransfer &&
    (limits.fua || !asked.fua) &&
    (limits.trim || !asked.trim) &&
    (limits.writeZeroes || !asked.writeZeroes)
  )
}

/** The most that a device has ever let through, now that it lets `limits` through. */
export function widen(before: DeviceLimits | undefined, limits: DeviceLimits): DeviceLimits {
  if (before === undefined || takesAll(limits, before)) return limits
  return {
    ...limits,
    maxTransfer: Math.max(before.maxTransfer, limits.maxTransfer),
    fua: before.fua || limits.fua,
    trim: before.trim || limits.trim,
    writeZeroes: before.writeZeroes || limits.writeZeroes,
    readOnly: before.readOnly && limits.readOnly,
  }
}

/** Why `limits` cannot be those of a path of this device; undefined when they can. */
export function limitsFault(limits: DeviceLimits, blockSize: number): string | undefined {
  if (limits.blockSize !== blockSize) {
    return `its block size is ${limits.blockSize} bytes, the volume's is ${blockSize}`
  }
  return unsoundLimits(limits)
}

function unsoundLimits({
  size,
  blockSize,
  preferredBlockSize,
  maxTransfer,
  queueDepth,
}: DeviceLimits): string | undefined {
  if (!Number.isSafeInteger(size) || size < 0) return `size is ${size}; it must be below 2 ** 53 bytes`
  if (blockSize < 512 || blockSize > 65536 || (blockSize & (blockSize - 1)) !== 0) {
    return `blockSize is ${blockSize}; it must be a power of two from 512 to 65536`
  }
  if (size % blockSize !== 0) return `size is ${size}; it must be a multiple of the block size, ${blockSize}`
  if (preferredBlockSize % blockSize !== 0 || preferredBlockSize < blockSize) {
    return `preferredBlockSize is ${preferredBlockSize}; it must be a multiple of the block size, ${blockSize}`
  }
  if (maxTransfer % blockSize !== 0 || maxTransfer < blockSize) {
    return `maxTransfer is ${maxTransfer}; it must be a multiple of the block size, ${blockSize}`
  }
  if (!Number.isInteger(queueDepth) || queueDepth < 1) return `queueDepth is ${queueDepth}; it must be 1 or more`
  return undefined
}

/** Of a device none of whose paths has told anything but what it was listed with. */
export function unknownLimits(size: number, blockSize: number): DeviceLimits {
  return {
    size,
    blockSize,
    preferredBlockSize: blockSize,
    maxTransfer: blockSize,
    queueDepth: 1,
    writeCache: true,
    fua: false,
    trim: false,
    writeZeroes: false,
    readOnly: false,
  }
}
