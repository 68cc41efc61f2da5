import type { Clock, IoStatus, PathTrouble } from '@blockbraid/core'
import { isPathError, OK } from '@blockbraid/core'
import { get32, get64, Troubles } from '@blockbraid/wire'
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

/** Tells why the commands of a path fail, in SCSI's words. */
export class CommandTroubles {
  readonly #place: string
  readonly #troubles: Troubles<Failed>

  /** `place`: the logical unit and where it is reached, for people. */
  constructor(clock: Clock, place: string, emit: (trouble: PathTrouble) => void) {
    this.#place = place
    this.#troubles = new Troubles(clock, (failed) => this.words(failed), emit)
  }

  add(failed: Failed): void {
    this.#troubles.add(failed)
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
    this.#troubles.stop()
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
