const binaryUnits = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB']

/** A size for people: `512 MiB`, with one digit after the point where it is not whole. */
export function formatSize(bytes: number): string {
  let amount = bytes
  let unit = 0
  while (amount >= 1024 && unit < binaryUnits.length - 1) {
    amount /= 1024
    unit++
  }
  return `${Number.isInteger(amount) ? amount : amount.toFixed(1)} ${binaryUnits[unit]}`
}

/** A count in at most five characters: `950`, `12.3k`, `4.5M`. */
export function formatCount(count: number): string {
  if (count < 10_000) return String(Math.round(count))
  if (count < 999_500) return `${short(count / 1e3)}k`
  if (count < 999_500_000) return `${short(count / 1e6)}M`
  return `${short(count / 1e9)}G`
}

/** A time for people from microseconds: `85 us`, `1.2 ms`, `3.0 s`; `-` for 0. */
export function formatMicroseconds(microseconds: number): string {
  if (microseconds <= 0) return '-'
  if (microseconds < 1000) return `${Math.round(microseconds)} us`
  if (microseconds < 1e6) return `${short(microseconds / 1e3)} ms`
  return `${short(microseconds / 1e6)} s`
}

/** Megabytes a second in at most six characters, from bytes a second: `0.0`, `48.2`, `1250`. */
export function formatRate(bytes: number): string {
  return short(bytes / 1e6)
}

/** How long ago an ISO date was at the time of day `now`, milliseconds: `85 s`, `12 min`, `3 h`. */
export function formatAge(since: string, now: number): string {
  const seconds = Math.max(0, Math.round((now - Date.parse(since)) / 1000))
  if (seconds < 120) return `${seconds} s`
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${Math.round(seconds / 3600)} h`
}

function short(amount: number): string {
  return amount < 99.95 ? amount.toFixed(1) : String(Math.round(amount))
}
