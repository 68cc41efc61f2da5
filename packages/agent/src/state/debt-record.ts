import { createHash } from 'node:crypto'
import type { ByteRun, Debt } from '@blockbraid/core'

/** Whose a record is. */
export interface DebtOwner {
  readonly pid: number
  /** When that process started, as field 22 of /proc/PID/stat tells it: clock ticks since boot. */
  readonly started: string
}

const VERSION = 1
const NAME = /^([0-9a-f]{32})-([0-9a-f]{32})-([1-9][0-9]{0,9})-([0-9]{1,20})$/

/** Name of the file that has a debt: who looks for those of a volume need not read the others. */
export function debtName({ volume, token }: Pick<Debt, 'volume' | 'token'>, { pid, started }: DebtOwner): string {
  return `${hash(volume)}-${hash(token)}-${pid}-${started}`
}

/** Whose a file of that name is, and whether it is about `volume`; undefined for other files. */
export function readDebtName(name: string, volume: string): (DebtOwner & { readonly fits: boolean }) | undefined {
  const match = NAME.exec(name)
  if (match === null) return undefined
  const [, about, , pid, started] = match as unknown as [string, string, string, string, string]
  return { pid: Number(pid), started, fits: about === hash(volume) }
}

/** Content of that file. */
export function encodeDebt({ volume, token, path, ranges }: Debt): string {
  return `${JSON.stringify({ blockbraid: VERSION, volume, token, path, ...(ranges && { ranges }) })}\n`
}

/** Reads what `encodeDebt` wrote; undefined where it is not that, or not what the file's name says. */
export function decodeDebt(text: string, name: string): Debt | undefined {
  let fields: Record<string, unknown>
  try {
    fields = JSON.parse(text) as Record<string, unknown>
  } catch {
    return undefined
  }
  if (typeof fields !== 'object' || fields === null || fields['blockbraid'] !== VERSION) return undefined
  const { volume, token, path, ranges } = fields
  if (typeof volume !== 'string' || typeof token !== 'string' || typeof path !== 'string') return undefined
  if (!name.startsWith(`${hash(volume)}-${hash(token)}-`)) return undefined
  const debt = { volume: volume as Debt['volume'], token, path }
  if (ranges === undefined) return debt
  return isRuns(ranges) ? { ...debt, ranges } : undefined
}

function isRuns(value: unknown): value is readonly ByteRun[] {
  const isRun = (run: unknown): boolean =>
    Array.isArray(run) && run.length === 2 && run.every((bytes) => Number.isSafeInteger(bytes) && bytes >= 0)
  return Array.isArray(value) && value.every(isRun)
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 32)
}
