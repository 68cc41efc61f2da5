/** ISO date of what `clock` dated, by the time of day of `now`. */
export function dateOf(since: number, now: number, wall: number): string {
  return new Date(wall - (now - since) / 1000).toISOString()
}
