import type { ScsiWords } from '../scsi/request.ts'
import { parseRequest } from '../scsi/requests.ts'
import { describeAnswer, succeeded } from '../scsi/status.ts'
import type { Terminal } from '../terminal/terminal.ts'
import { parseHex, toHex } from '../text/hex.ts'
import { ask } from './ask.ts'
import type { ByHandOptions } from './by-hand.ts'
import { byHand } from './by-hand.ts'

/** Options of `blockbraid scsi`. */
export interface ScsiCommandOptions extends ByHandOptions, ScsiWords {}

/** `blockbraid scsi PAIR REQUEST...`: prints what a SCSI command was answered; fails where the command did. */
export async function scsi(
  terminal: Terminal,
  options: ScsiCommandOptions,
  pair: string,
  words: readonly string[],
): Promise<void> {
  await byHand(terminal, options, pair, parseRequest(words, options), {
    foreign: /^nvme-tcp:/,
    async send(pair, path, { cdb, data }) {
      const {
        status,
        residual,
        sense,
        data: received,
      } = await ask(terminal, options, {
        op: 'scsi',
        pair,
        cdb: toHex(cdb),
        ...(typeof data === 'number' ? { in: String(data) } : { out: toHex(data) }),
        ...(path === undefined ? {} : { path }),
      })
      return { status, residual, sense: parseHex('sense', sense), data: parseHex('data', received) }
    },
    succeeded,
    describe: describeAnswer,
    fields: ({ status, sense, residual, data }) => ({ status, sense, residual, data }),
  })
}
