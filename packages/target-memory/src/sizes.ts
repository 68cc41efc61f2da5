const units: Readonly<Record<string, number>> = {
  '': 1,
  B: 1,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
  PiB: 2 ** 50,
}

/** A number of bytes, or a text such as `512MiB`. */
export type Size = number | string

/** Bytes of a {@link Size}; throws a TypeError that names `field`. */
export function parseSize(field: string, size: unknown): number {
  const bytes = typeof size === 'string' ? fromText(size) : size
  if (typeof bytes === 'number' && Number.isSafeInteger(bytes) && bytes > 0) return bytes
  throw new TypeError(`${field} is ${JSON.stringify(size)}; it must be bytes above 0, such as 1048576 or 512MiB`)
}

function fromText(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?) ?([KMGTP]iB|B|)$/.exec(text)
  return match === null ? undefined : Number(match[1]) * units[match[2]!]!
}
