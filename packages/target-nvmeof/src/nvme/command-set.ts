import type { CommandOptions, CommandSet, CommandVerdict } from '@blockbraid/core'
import { NOT_EXECUTED } from '@blockbraid/core'
import type { NvmeCommand } from './command.ts'
import { changesReservations, isIdempotent, mayChangeData } from './effects.ts'
import type { Completion } from './procedure.ts'
import { judge } from './status.ts'

/** The protocol of {@link nvmeCommands}. */
export const NVME = 'nvme'

/** What a controller answered, whatever the status. */
export interface NvmeAnswer extends Completion {}

/** The command set of a path that speaks NVMe. */
export type NvmeCommandSet = CommandSet<NvmeCommand, NvmeAnswer>

/** Makes the command set of a path that speaks NVMe, over TCP or otherwise, of how it sends one command. */
export function nvmeCommands(
  send: (command: NvmeCommand, data: Uint8Array | number, options: CommandOptions) => Promise<NvmeAnswer>,
): NvmeCommandSet {
  return {
    protocol: NVME,
    send,
    verdict,
    mayRepeat: isIdempotent,
    mayChangeData,
    changedReservations: (command, { status }) => changesReservations(command) && status === 0,
  }
}

/**
 * Whether the command ran, or did not and may on another path. What a controller has begun and given up counts as run, with
 * the status for its sender to see; so does what is of no use anywhere (DNR).
 */
function verdict({ status }: NvmeAnswer): CommandVerdict {
  return (judge(status).status & NOT_EXECUTED) === 0 ? 'ran' : 'elsewhere'
}
