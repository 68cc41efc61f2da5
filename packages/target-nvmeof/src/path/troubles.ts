import type { IoStatus, PathTrouble } from '@blockbraid/core'
import { isPathError, OK } from '@blockbraid/core'
import { describeStatus } from '../nvme/status.ts'

/** A command that ended badly. */
export interface Failed {
  /** As {@link PathTrouble.kind}. */
  readonly kind: string
  readonly severity: PathTrouble['severity']
  /** Name of the command, such as `read`. */
  readonly what: string
  /** First block of the command; undefined where it is about none. */
  readonly block: number | undefined
  /** Status field; undefined where there was no answer, or a good one. */
  readonly code?: number | undefined
  /** What became of it, or what cures it, for people. */
  readonly advice?: string | undefined
}

/** A failure in words; `place`: the namespace and where it is reached. */
export function failureInWords({ kind, what, block, code, advice }: Failed, place: string): string {
  const said = code === undefined ? kind : describeStatus(code)
  const why = said.includes(kind) ? said : `${kind}: ${said}`
  const where = block === undefined ? what : `${what} at block ${block}`
  return `${why}; ${where}, ${place}${advice === undefined ? '' : `; ${advice}`}`
}

/** How bad it is that a command had no good end, by what becomes of its Io. */
export function severityOf(status: IoStatus): PathTrouble['severity'] {
  return status === OK || isPathError(status) ? 'warning' : 'error'
}
