import { BlockError } from '@blockbraid/core'
import { getLog, LogPage } from '../nvme/admin.ts'
import { ANA_HEAD, anaLogLength, decodeAnaLog, LONGEST_ANA_LOG } from '../nvme/ana.ts'
import { demand } from '../nvme/ask.ts'
import { hex64 } from '../nvme/bytes.ts'
import type { Procedure } from '../nvme/procedure.ts'

const FIRST = 4096
const PIECE = 4096
const TRIES = 4

/**
 * Reads the ANA log: whole, and as it was at one moment. In pieces where it is long and the controller can
 * (`logOffsets`). Its event may come again when it was read. Throws where it is absurd, or changes faster than it is read.
 */
export function* readAnaLog({ logOffsets }: { readonly logOffsets: boolean }): Procedure<Uint8Array> {
  for (let left = TRIES; left > 0; left--) {
    const log = yield* readOnce(logOffsets)
    if (log !== undefined) {
      decodeAnaLog(log)
      return log
    }
  }
  throw new BlockError('PROTOCOL', `the ANA log changed during each of ${TRIES} reads`)
}

function* read(length: number, offset: number, keepEvent: boolean): Procedure<Uint8Array> {
  const request = getLog(LogPage.Ana, length, { offset, keepEvent })
  const { data } = yield* demand('Get Log Page of the ANA log', request)
  // What came short may end within a word, and the next piece begins with one.
  return data.subarray(0, Math.min(length, data.length) & ~3)
}

/** The log; undefined where it changed between two pieces. */
function* readOnce(logOffsets: boolean): Procedure<Uint8Array | undefined> {
  let log = yield* read(FIRST, 0, false)
  let length = anaLogLength(log)
  if (length <= log.length) return log.subarray(0, length)
  if (!logOffsets) {
    // How long it is, its groups tell one after another.
    for (let size = FIRST; length > log.length && size < LONGEST_ANA_LOG; length = anaLogLength(log)) {
      size = Math.min(LONGEST_ANA_LOG, Math.max(2 * size, padded(length)))
      log = yield* read(size, 0, false)
    }
    return log.subarray(0, Math.min(length, log.length))
  }
  while (length > log.length) {
    const piece = yield* read(PIECE, log.length, true)
    if (piece.length === 0) throw new BlockError('PROTOCOL', `the ANA log ends at ${log.length} of ${length} bytes`)
    log = Buffer.concat([log, piece])
    length = anaLogLength(log)
  }
  const head = yield* read(ANA_HEAD, 0, false)
  return head.length >= 8 && hex64(head, 0) === hex64(log, 0) ? log.subarray(0, length) : undefined
}

function padded(length: number): number {
  return Math.ceil(length / PIECE) * PIECE
}
