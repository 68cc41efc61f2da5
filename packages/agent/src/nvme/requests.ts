import type { NvmeAnswer, NvmeRequest } from '@blockbraid/target-nvmeof'
import {
  anaLogLength,
  Cns,
  decodeAnaLog,
  decodeController,
  decodeDescriptors,
  decodeErrorLog,
  decodeNamespace,
  decodeNamespaceList,
  decodeReservations,
  decodeResetLog,
  decodeSmartLog,
  getFeature,
  getLog,
  identify,
  LogPage,
  reservationReport,
} from '@blockbraid/target-nvmeof'
import type { Decoded } from '../by-hand/request.ts'
import { asUsage } from '../by-hand/request.ts'
import { UsageError } from '../terminal/terminal.ts'
import { dump } from '../text/facts.ts'
import { parseCount, parseHex } from '../text/hex.ts'
import { fenceRequest } from './fence.ts'
import type { NvmeHandRequest, NvmeWords } from './request.ts'
import { refuseRest, single } from './request.ts'
import { parseChange } from './reservations.ts'
import {
  anaLines,
  controllerLines,
  descriptorLines,
  errorLines,
  featureLines,
  namespaceLines,
  namespaceListLines,
  reservationLines,
  resetLines,
  smartLines,
} from './words.ts'

type Parse = (words: readonly string[], options: NvmeWords, nsid: number) => NvmeHandRequest

/** The request that the words on the command line mean, for a namespace. Throws a UsageError. */
export function parseRequest(words: readonly string[], options: NvmeWords, nsid: number): NvmeHandRequest {
  const [name = '', ...more] = words
  const parse = parsers.get(name) ?? parseChange(name)
  if (parse === undefined) throw new UsageError(`"${name}" is no NVMe request: it must be one of ${names().join(', ')}`)
  return asUsage(() => parse(more, options, nsid))
}

/** Whether a request is for a namespace, so that its number must be known. */
export function needsNamespace(words: readonly string[]): boolean {
  return /^(id-ns|ns-descs|resv-\w+)$/.test(words[0] ?? '')
}

const changes = ['resv-register', 'resv-unregister', 'resv-acquire', 'resv-release', 'resv-preempt', 'resv-clear']

function names(): string[] {
  return [...parsers.keys(), ...changes]
}

/** A request without words and options of its own. */
function plain<Value>(
  name: string,
  request: (nsid: number) => NvmeRequest,
  decode: (data: Uint8Array) => Value,
  lines: (value: Value, width: number) => readonly string[],
): [string, Parse] {
  return [
    name,
    (words, options, nsid) => {
      refuseRest(name, words, options)
      return single(name, request(nsid), ({ data }) => decode(data), lines)
    },
  ]
}

// Bytes of a first look at a log whose length is not known.
const FIRST_LOOK = 4096
const ERRORS = 64

const parsers = new Map<string, Parse>([
  plain('id-ctrl', () => identify(Cns.Controller), decodeController, controllerLines),
  [
    'fence',
    (words, options) => {
      refuseRest('fence', words, options)
      return fenceRequest()
    },
  ],
  plain('id-ns', (nsid) => identify(Cns.Namespace, nsid), decodeNamespace, namespaceLines),
  plain('ns-descs', (nsid) => identify(Cns.Descriptors, nsid), decodeDescriptors, descriptorLines),
  plain(
    'list-ns',
    () => identify(Cns.ActiveNamespaces),
    (data) => decodeNamespaceList(data),
    namespaceListLines,
  ),
  [
    'ana-log',
    (words, options) => {
      refuseRest('ana-log', words, options)
      return {
        ...single('ana-log', anaLog(FIRST_LOOK), ({ data }) => decodeAnaLog(data), anaLines),
        // A log that is longer than it seems is read again, a few times at most: it may grow meanwhile.
        async run(send) {
          let length = FIRST_LOOK
          for (let tries = 0; ; tries++) {
            const answer = await send(anaLog(length))
            const needed = answer.status === 0 ? Math.ceil(anaLogLength(answer.data) / 4) * 4 : 0
            if (needed <= length || tries === MOST_TRIES) return answer
            length = needed
          }
        },
      }
    },
  ],
  plain('smart-log', () => getLog(LogPage.Smart, 512), decodeSmartLog, smartLines),
  plain('error-log', () => getLog(LogPage.Error, 64 * ERRORS), decodeErrorLog, errorLines),
  plain('reset-log', () => getLog(LogPage.CrossControllerReset, FIRST_LOOK), decodeResetLog, resetLines),
  [
    'get-feature',
    ([text = '', ...words], options) => {
      refuseRest('get-feature ID', words, options, ['in'])
      const feature = number('get-feature ID', text, 0xff)
      const name = `get-feature 0x${feature.toString(16).padStart(2, '0')}`
      const told = ({ result, data }: NvmeAnswer) => ({ feature, result, data })
      return single(name, getFeature(feature, parseCount(options.in ?? '0')), told, featureLines)
    },
  ],
  plain(
    'resv-report',
    (nsid) => reservationReport(nsid),
    (data) => decodeReservations(data),
    reservationLines,
  ),
  ['raw', parseRaw],
])

const MOST_TRIES = 3

function anaLog(length: number): NvmeRequest {
  return getLog(LogPage.Ana, length, { keepEvent: true })
}

const FIELDS = ['nsid', 'cdw10', 'cdw11', 'cdw12', 'cdw13', 'cdw14', 'cdw15'] as const

function parseRaw([queue = '', opcode = '', ...words]: readonly string[], options: NvmeWords): NvmeHandRequest {
  if (queue !== 'admin' && queue !== 'io') throw new UsageError(`raw needs admin or io first, not "${queue}"`)
  refuseRest('raw', [], options, ['in', 'out'])
  const { in: receive, out: send } = options
  if (receive !== undefined && send !== undefined) throw new UsageError('--in and --out: a command has one of them')
  const fields: Partial<Record<(typeof FIELDS)[number], number>> = {}
  for (const word of words) {
    const [name = '', text = '', ...rest] = word.split('=')
    const field = FIELDS.find((one) => one === name)
    if (field === undefined || rest.length > 0) {
      throw new UsageError(`raw: "${word}" is no field: it must be one of ${FIELDS.join(', ')}, such as cdw10=0x1`)
    }
    fields[field] = number(field, text, 0xffff_ffff)
  }
  const request: NvmeRequest = {
    command: { admin: queue === 'admin', opcode: number('raw OPCODE', opcode, 0xff), ...fields },
    data: send === undefined ? parseCount(receive ?? '0') : parseHex('--out', send),
  }
  return {
    name: 'raw',
    everyPath: false,
    run: (nvme) => nvme(request),
    decode: ({ result, data }): Decoded | undefined =>
      data.length === 0 && result === 0
        ? undefined
        : { value: undefined, lines: () => [`result 0x${result.toString(16).padStart(8, '0')}`, ...dump(data)] },
  }
}

/** A number in the digits that C has: `0x0f`, `15`. Throws a UsageError. */
function number(what: string, text: string, most: number): number {
  const value = /^(0x[0-9a-f]{1,8}|\d{1,10})$/i.test(text) ? Number(text) : Number.NaN
  if (value <= most) return value
  throw new UsageError(`${what}: "${text}" must be a number up to ${most}, such as 0x0f`)
}
