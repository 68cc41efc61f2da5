import type { Clock, IoStatus, PathTrouble, Timer } from '@blockbraid/core'
import { isPathError, OK } from '@blockbraid/core'
import { get32, get64 } from '@blockbraid/wire'
import type { ScsiCommand } from '../../scsi/cdb.ts'
import type { Sense } from '../../scsi/sense.ts'
import { senseInWords } from '../../scsi/sense-words.ts'

/** A command that ended badly. */
export interface Failed {
  /** As {@link PathTrouble.kind}. */
  readonly kind: string
  readonly severity: PathTrouble['severity']
  /** Name of the command, such as `read`. */
  readonly what: string
  /** First block of the command; undefined where it is about none. */
  readonly block: number | undefined
  readonly sense: Sense | undefined
  /** What became of it, or what cures it, for people. */
  readonly advice?: string | undefined
}

/** What one kind of trouble has come to. */
interface Kind {
  count: number
  last: Failed
  severity: PathTrouble['severity']
  timer: Timer | undefined
}

// Of a kind no more than one event within that time, milliseconds.
const INTERVAL = 5000

/**
 * Tells why the commands of a path fail: the first of a kind at once, the others counted. Words are made only of
 * those that are told.
 */
export class CommandTroubles {
  readonly #clock: Clock
  readonly #place: string
  readonly #emit: (trouble: PathTrouble) => void
  readonly #kinds = new Map<string, Kind>()
  #stopped = false

  /** `place`: the logical unit and where it is reached, for people. */
  constructor(clock: Clock, place: string, emit: (trouble: PathTrouble) => void) {
    this.#clock = clock
    this.#place = place
    this.#emit = emit
  }

  add(failed: Failed): void {
    if (this.#stopped) return
    const known = this.#kinds.get(failed.kind)
    if (known === undefined) {
      const first: Kind = { count: 1, last: failed, severity: failed.severity, timer: undefined }
      this.#kinds.set(failed.kind, first)
      return this.#tell(first)
    }
    known.count++
    known.last = failed
    if (failed.severity === 'error') known.severity = 'error'
    if (known.timer === undefined) this.#tell(known)
  }

  /** The failure in words. */
  words({ kind, what, block, sense, advice }: Failed): string {
    const why = sense === undefined ? kind : withKind(kind, senseInWords(sense))
    const at = sense?.information ?? block
    const where = at === undefined ? what : `${what} at block ${at}`
    return `${why}; ${where}, ${this.#place}${advice === undefined ? '' : `; ${advice}`}`
  }

  /** Tells what was only counted, and ends. */
  stop(): void {
    this.#stopped = true
    for (const kind of this.#kinds.values()) {
      kind.timer?.cancel()
      kind.timer = undefined
      if (kind.count > 0) this.#emitNow(kind)
    }
    this.#kinds.clear()
  }

  #tell(kind: Kind): void {
    kind.timer = this.#clock.after(INTERVAL, () => {
      kind.timer = undefined
      if (kind.count > 0) this.#tell(kind)
    })
    this.#emitNow(kind)
  }

  #emitNow(kind: Kind): void {
    const { count, severity, last } = kind
    kind.count = 0
    kind.severity = 'warning'
    this.#emit({ kind: last.kind, text: this.words(last), severity, count })
  }
}

// The table's words first: an operator looks for them, and counters have them.
function withKind(kind: string, sense: string): string {
  return sense.includes(kind) ? sense : `${kind}: ${sense}`
}

/** How bad it is that a command had no good end, by what becomes of its Io. */
export function severityOf(status: IoStatus): PathTrouble['severity'] {
  return status === OK || isPathError(status) ? 'warning' : 'error'
}

const commandNames: Readonly<Record<number, string>> = {
  53: 'flush',
  65: 'write same',
  66: 'unmap',
  145: 'flush',
  147: 'write same',
}

/** Name and first block of a command of a trim or a zeroing. */
export function aboutRange({ cdb, data }: ScsiCommand): Pick<Failed, 'what' | 'block'> {
  const opcode = cdb[0] as number
  const what = commandNames[opcode] ?? 'command'
  if (what === 'write same') return { what, block: opcode === 0x93 ? get64(cdb, 2) : get32(cdb, 2) }
  // The first of its block descriptors.
  return { what, block: what === 'unmap' && typeof data !== 'number' ? get64(data, 8) : undefined }
}
