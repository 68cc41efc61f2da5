import { IoOp } from '../../io.ts'
import type { ResolvedOptions } from '../options.ts'

/** By op: how long one may be in flight, milliseconds; 0: for ever. */
export function inFlightLimits({ ioTimeout, flushTimeout, trimTimeout, zeroTimeout }: ResolvedOptions): number[] {
  const limits: number[] = []
  limits[IoOp.Read] = limits[IoOp.Write] = ioTimeout
  limits[IoOp.Flush] = flushTimeout
  limits[IoOp.Trim] = trimTimeout
  limits[IoOp.WriteZeroes] = zeroTimeout
  return limits
}

/** Why a path has failed on which one was in flight for `limit` ms. */
export function overdue(op: IoOp, limit: number): string {
  if (op === IoOp.Flush) return `a flush had no answer for ${limit} ms`
  if (op === IoOp.Trim) return `a trim had no answer for ${limit} ms`
  if (op === IoOp.WriteZeroes) return `a write of zeroes had no answer for ${limit} ms`
  return `an I/O had no answer for ${limit} ms`
}
