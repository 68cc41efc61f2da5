/** Whether serial number `a` comes before `b` (RFC 1982, 32 bits). */
export function serialBefore(a: number, b: number): boolean {
  return ((a - b) | 0) < 0
}
