import type { UserDevice } from './user-device.ts'

/** A device, and how it is called in what is said of it. */
export interface NamedDevice {
  /** For people. */
  readonly name: string
  /** What is compared. */
  readonly device: Pick<UserDevice, 'limits' | 'read' | 'write'>
}

/** Options of {@link proveSame}. */
export interface ProveOptions {
  /** 0 <= random() < 1: chooses samples, and what is written. */
  readonly random: () => number
  /** Byte offset of a block that may be written for a moment, and that nobody uses meanwhile. */
  readonly write?: number
}

/** Whether devices are one volume. */
export interface Proof {
  /** `equal`: no difference was found, which proves nothing. */
  readonly result: 'different' | 'equal' | 'same'
  /** For people: what was compared, and where which two differ. */
  readonly text: string
}

const SAMPLES = 64

/**
 * Compares the first, the last and some more blocks of devices. With `write` it writes a random block through the
 * first, reads it through every other, and puts back what was there. Rejects with a TypeError where `write` is not the
 * offset of a block, and with what a device rejects with.
 */
export async function proveSame(devices: readonly NamedDevice[], { random, write }: ProveOptions): Promise<Proof> {
  const [first, ...others] = devices
  if (first === undefined || others.length === 0) {
    throw new TypeError(`devices has ${devices.length} entries; it must have at least two`)
  }
  const { size, blockSize } = first.device.limits
  for (const { name, device } of others) {
    const its = device.limits
    if (its.size !== size) return different(first.name, name, `sizes are ${size} and ${its.size} bytes`)
    if (its.blockSize !== blockSize)
      return different(first.name, name, `blocks are of ${blockSize} and ${its.blockSize}`)
  }
  const blocks = size / blockSize
  if (write !== undefined && !(Number.isInteger(write / blockSize) && write >= 0 && write < size)) {
    throw new TypeError(`write is ${write}; it must be a multiple of ${blockSize} below ${size}`)
  }
  const samples = new Set([0, blocks - 1])
  while (samples.size < Math.min(SAMPLES, blocks)) samples.add(Math.floor(random() * blocks))
  for (const block of samples) {
    const found = await compare(devices, block * blockSize, blockSize)
    if (found !== undefined) return found
  }
  const compared = `${samples.size} blocks of ${blockSize} bytes are equal`
  if (write === undefined) return { result: 'equal', text: `${compared}, which does not prove that it is one volume` }
  return (
    (await mark(first, others, write, random)) ?? {
      result: 'same',
      text: `${compared}, and what was written through ${first.name} was read through every other`,
    }
  )
}

async function compare(
  [first, ...others]: readonly NamedDevice[],
  offset: number,
  length: number,
): Promise<Proof | undefined> {
  const one = first as NamedDevice
  const data = await one.device.read(offset, length)
  for (const { name, device } of others) {
    if (!isEqual(data, await device.read(offset, length))) {
      return different(one.name, name, `the block at ${offset} differs`)
    }
  }
  return undefined
}

async function mark(
  first: NamedDevice,
  others: readonly NamedDevice[],
  offset: number,
  random: () => number,
): Promise<Proof | undefined> {
  const length = first.device.limits.blockSize
  const before = await first.device.read(offset, length)
  const nonce = Uint8Array.from(before, () => Math.floor(random() * 256))
  await first.device.write(offset, nonce, { fua: true })
  try {
    for (const { name, device } of others) {
      if (isEqual(nonce, await device.read(offset, length))) continue
      return different(
        first.name,
        name,
        `what was written at ${offset} through the first is not read through the second`,
      )
    }
    return undefined
  } finally {
    await first.device.write(offset, before, { fua: true })
  }
}

function different(one: string, other: string, why: string): Proof {
  return { result: 'different', text: `${one} and ${other} are two volumes: ${why}` }
}

function isEqual(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, index) => byte === other[index])
}
