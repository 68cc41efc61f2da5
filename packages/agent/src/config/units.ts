const sizeForm = /^(\d+(?:\.\d+)?) ?(B|KiB|MiB|GiB|TiB|PiB)$/
// A second may be named, as that is what is meant.
const rateForm = /^(\d+(?:\.\d+)?) ?(B|KiB|MiB|GiB|TiB|PiB)(?:\/s)?$/
const durationForm = /^(\d+(?:\.\d+)?) ?(ms|s|m|h)$/

const sizeUnits: Readonly<Record<string, number>> = {
  B: 1,
  KiB: 2 ** 10,
  MiB: 2 ** 20,
  GiB: 2 ** 30,
  TiB: 2 ** 40,
  PiB: 2 ** 50,
}
const durationUnits: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

function parse(form: RegExp, units: Readonly<Record<string, number>>, value: unknown): number | undefined {
  let amount: number
  if (typeof value === 'number') amount = value
  else if (typeof value === 'string') {
    const match = form.exec(value)
    if (!match) return undefined
    amount = Number(match[1]) * units[match[2] as string]!
  } else return undefined
  return Number.isSafeInteger(amount) && amount >= 0 ? amount : undefined
}

/** Bytes of a size such as `512MiB`, or of a number of bytes; undefined where it is neither. */
export function parseSize(value: unknown): number | undefined {
  return parse(sizeForm, sizeUnits, value)
}

/** Bytes a second of a rate such as `200MiB/s`, with or without the second, or of a number; undefined where it is neither. */
export function parseByteRate(value: unknown): number | undefined {
  return parse(rateForm, sizeUnits, value)
}

// About 24.8 days: the longest delay that setTimeout keeps.
const LONGEST = 2 ** 31 - 1

/** Milliseconds as a duration that is read as those, in the largest unit of which they are a whole number. */
export function formatDuration(milliseconds: number): string {
  const least = milliseconds === LONGEST ? LONGEST - (LONGEST % durationUnits['h']!) : milliseconds
  const [unit, size] = Object.entries(durationUnits).findLast(([, size]) => least % size === 0 && least > 0) ?? [
    'ms',
    1,
  ]
  return `${least / size}${unit}`
}

/** Milliseconds of a duration such as `30s`, or of a number of milliseconds; undefined where it is neither. */
export function parseDuration(value: unknown): number | undefined {
  return parse(durationForm, durationUnits, value)
}
