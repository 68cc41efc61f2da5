import type { CommandOptions, CommandSet, CommandVerdict } from '@blockbraid/core'
import { changesReservations, isIdempotent, mayChangeData } from './effects.ts'
import { decodeSense } from './sense.ts'
import { ScsiStatus } from './status.ts'

/** The protocol of {@link scsiCommands}. */
export const SCSI = 'scsi'

/** What a SCSI target answered, whatever the status. */
export interface ScsiAnswer {
  /** Status byte (SAM-5 §5.3.1); 0 is GOOD, 2 is CHECK CONDITION. */
  readonly status: number
  /** Sense data (SPC-5); empty where there is none. */
  readonly sense: Uint8Array
  /** What was received. */
  readonly data: Uint8Array
  /** Bytes asked for or offered that were not transferred. */
  readonly residual: number
}

/** The command set of a path that speaks SCSI: a command is its command descriptor block. */
export type ScsiCommandSet = CommandSet<Uint8Array, ScsiAnswer>

/** Makes the command set of a path that speaks SCSI, over iSCSI or otherwise, of how it sends one command. */
export function scsiCommands(
  send: (cdb: Uint8Array, data: Uint8Array | number, options: CommandOptions) => Promise<ScsiAnswer>,
): ScsiCommandSet {
  return {
    protocol: SCSI,
    send,
    verdict,
    mayRepeat: isIdempotent,
    mayChangeData,
    changedReservations: (cdb, { status }) => changesReservations(cdb) && status === ScsiStatus.Good,
  }
}

// Sense key and additional sense code of commands that another path may take (SPC-5).
const ELSEWHERE: ReadonlySet<number> = new Set([
  0x02_04_0a, // not accessible, state transition
  0x02_04_0b, // not accessible, standby
  0x02_04_0c, // not accessible, unavailable
  0x05_25_00, // no such logical unit on this port
])
const UNIT_ATTENTION = 0x06

/**
 * Whether the command ran, did not run but may at once (a unit attention is over once it was told,
 * SAM-5 §5.14), or did not run and may on another path.
 */
function verdict({ status, sense }: ScsiAnswer): CommandVerdict {
  if (status === ScsiStatus.Busy || status === ScsiStatus.TaskSetFull) return 'elsewhere'
  if (status !== ScsiStatus.CheckCondition) return 'ran'
  const told = decodeSense(sense)
  // A deferred error is news of an earlier command, which whoever sends this one should get.
  if (told === undefined || told.deferred) return 'ran'
  if (told.key === UNIT_ATTENTION) return 'again'
  return ELSEWHERE.has((told.key << 16) | (told.asc << 8) | told.ascq) ? 'elsewhere' : 'ran'
}
