import {
  decodeCapacity16,
  decodeInquiry,
  decodeLuns,
  decodePortGroups,
  decodeVpd,
  inquiry,
  readCapacity16,
  reportLuns,
  reportTargetPortGroups,
  vpdLength,
} from '@blockbraid/target-iscsi'
import { asUsage } from '../by-hand/request.ts'
import { UsageError } from '../terminal/terminal.ts'
import { dump } from '../text/facts.ts'
import { parseCount, parseHex } from '../text/hex.ts'
import type { ScsiRequest, ScsiWords } from './request.ts'
import { growing, refuseRest, simple } from './request.ts'
import { parseReservation } from './reservations.ts'
import { capacityLines, inquiryLines, lunLines, portGroupLines, vpdLines } from './words.ts'

/** The request that the words on the command line mean. Throws a UsageError. */
export function parseRequest(words: readonly string[], options: ScsiWords): ScsiRequest {
  const [name = '', ...more] = words
  const parse = Object.hasOwn(parsers, name) ? parsers[name as keyof typeof parsers] : undefined
  if (parse === undefined) {
    throw new UsageError(`"${name}" is no SCSI request: it must be one of ${Object.keys(parsers).join(', ')}`)
  }
  return asUsage(() => parse(more, options))
}

const parsers = {
  inquiry: (words: readonly string[], options: ScsiWords): ScsiRequest => {
    refuseRest('inquiry', words, options)
    return simple('inquiry', inquiry(), decodeInquiry, inquiryLines)
  },
  vpd: ([text = '0', ...words]: readonly string[], options: ScsiWords): ScsiRequest => {
    refuseRest('vpd PAGE', words, options)
    const page = /^(0x)?[0-9a-f]{1,2}$/i.test(text) ? Number.parseInt(text, 16) : Number.NaN
    if (Number.isNaN(page)) throw new UsageError(`"${text}" is no page: it must be two hex digits such as 0x83`)
    return growing(
      `vpd 0x${page.toString(16).padStart(2, '0')}`,
      (length) => inquiry(page, length),
      (data) => decodeVpd(page, data),
      vpdLines,
      vpdLength,
    )
  },
  luns: (words: readonly string[], options: ScsiWords): ScsiRequest => {
    refuseRest('luns', words, options)
    return growing('luns', reportLuns, decodeLuns, lunLines, (data) => Math.min(decodeLuns(data).length, MAX_LIST))
  },
  rtpg: (words: readonly string[], options: ScsiWords): ScsiRequest => {
    refuseRest('rtpg', words, options)
    const needed = (data: Uint8Array): number => Math.min(decodePortGroups(data).length, MAX_LIST)
    return growing('rtpg', reportTargetPortGroups, decodePortGroups, portGroupLines, needed)
  },
  capacity: (words: readonly string[], options: ScsiWords): ScsiRequest => {
    refuseRest('capacity', words, options)
    return simple('capacity', readCapacity16(), decodeCapacity16, capacityLines)
  },
  pr: parseReservation,
  raw: (words: readonly string[], options: ScsiWords): ScsiRequest => {
    if (words.length === 0) throw new UsageError('raw needs a CDB, in hex digits')
    refuseRest('raw', [], options, ['in', 'out'])
    const { in: receive, out: send } = options
    const cdb = parseHex('CDB', words.join(''))
    if (receive !== undefined && send !== undefined) throw new UsageError('--in and --out: a command has one of them')
    const data = send === undefined ? parseCount(receive ?? '0') : parseHex('--out', send)
    return {
      name: 'raw',
      everyPath: false,
      run: (scsi) => scsi({ cdb, data }),
      decode: ({ data: bytes }) => (bytes.length === 0 ? undefined : { value: undefined, lines: () => dump(bytes) }),
    }
  },
}

/** Bytes of the longest list that is asked for. */
const MAX_LIST = 1024 * 1024
