import { BlockError } from '@blockbraid/core'
import { getLog, LogPage } from '../nvme/admin.ts'
import { demand } from '../nvme/ask.ts'
import type { DiscoveryHeader, DiscoveryRecord } from '../nvme/discovery-log.ts'
import {
  DISCOVERY_HEAD,
  DISCOVERY_RECORD,
  decodeDiscoveryHeader,
  decodeDiscoveryRecords,
} from '../nvme/discovery-log.ts'
import type { Procedure } from '../nvme/procedure.ts'
import { pause } from '../nvme/procedure.ts'

/** Records of a discovery log that are read at most. */
export const MAX_RECORDS = 4096
// Bytes of one Get Log Page: every controller takes that much.
const PIECE = 4096
const TRIES = 10
const PAUSE = 50

/** The discovery log, as it was at one moment. */
export interface DiscoveryLog {
  /** 16 hex digits. */
  readonly generation: string
  /** Records of every transport and kind. */
  readonly records: readonly DiscoveryRecord[]
}

/**
 * Reads the discovery log in pieces, and its generation again behind them: where it changed meanwhile it is read anew. Its
 * event may come again then. Throws where it has absurdly many records, or changes without end.
 */
export function* readDiscoveryLog(): Procedure<DiscoveryLog> {
  for (let left = TRIES; left > 0; left--) {
    const before = yield* readHeader(true)
    const records: DiscoveryRecord[] = []
    while (records.length < before.records) {
      const piece = yield* readPiece(records.length, before.records)
      if (piece.length === 0) break
      records.push(...piece)
    }
    const after = yield* readHeader(false)
    if (after.generation === before.generation && after.records === before.records) {
      if (records.length === before.records) return { generation: before.generation, records }
      throw new BlockError('PROTOCOL', `the discovery log has ${records.length} records, and says ${before.records}`)
    }
    yield* pause(PAUSE)
  }
  throw new BlockError('PROTOCOL', `the discovery log changed during each of ${TRIES} reads`)
}

function* readHeader(keepEvent: boolean): Procedure<DiscoveryHeader> {
  const header = decodeDiscoveryHeader(yield* read(0, DISCOVERY_HEAD, keepEvent))
  if (header.records > MAX_RECORDS) {
    throw new BlockError(
      'PROTOCOL',
      `the discovery log tells of ${header.records} records; ${MAX_RECORDS} are read at most`,
    )
  }
  if (header.format !== 0) {
    throw new BlockError('NOT_SUPPORTED', `the discovery log has format ${header.format}; format 0 is known`)
  }
  return header
}

function* readPiece(from: number, records: number): Procedure<DiscoveryRecord[]> {
  const length = Math.min(PIECE, (records - from) * DISCOVERY_RECORD)
  return decodeDiscoveryRecords(yield* read(DISCOVERY_HEAD + from * DISCOVERY_RECORD, length, true))
}

function* read(offset: number, length: number, keepEvent: boolean): Procedure<Uint8Array> {
  const request = getLog(LogPage.Discovery, length, { offset, keepEvent, nsid: 0 })
  return (yield* demand('Get Log Page of the discovery log', request)).data.subarray(0, length)
}
