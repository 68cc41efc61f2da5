import type { CommandOptions, CommandSet, CommandVerdict } from '../../src/index.ts'

/** What is told of a command of the made-up protocol. */
export interface ToyCommand {
  readonly name: string
  /** @defaultValue false */
  readonly repeats?: boolean
  /** @defaultValue false */
  readonly changes?: boolean
  /** @defaultValue false */
  readonly reserves?: boolean
}

export interface ToyAnswer {
  readonly verdict: CommandVerdict
  readonly text: string
}

export const look: ToyCommand = { name: 'look', repeats: true }
export const reserve: ToyCommand = { name: 'reserve', reserves: true }
export const change: ToyCommand = { name: 'write', changes: true }

export const ok: ToyAnswer = { verdict: 'ran', text: 'the answer' }

/** Commands of a protocol that no plugin speaks: each says by itself what core asks of it. */
export function toyCommands(
  send: (command: ToyCommand, data: Uint8Array | number, options: CommandOptions) => Promise<ToyAnswer>,
  protocol = 'toy',
): CommandSet<ToyCommand, ToyAnswer> {
  return {
    protocol,
    send,
    verdict: (answer) => answer.verdict,
    mayRepeat: ({ repeats }) => repeats === true,
    mayChangeData: ({ changes }) => changes === true,
    changedReservations: ({ reserves }, { verdict }) => reserves === true && verdict === 'ran',
  }
}
