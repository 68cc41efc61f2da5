import type { BlockError, Clock, CommandOptions, IoStatus } from '@blockbraid/core'
import { delay, Errno, OK, PATH_ERROR } from '@blockbraid/core'
import { get64le } from '@blockbraid/wire'
import type { NvmeCommand, NvmeRequest } from '../nvme/command.ts'
import type { NvmeAnswer } from '../nvme/command-set.ts'
import { IoOpcode } from '../nvme/opcode.ts'
import type { Completion } from '../nvme/procedure.ts'
import { Action, judge, News, retryDelay } from '../nvme/status.ts'
import type { Review } from './review.ts'
import type { Failed } from './troubles.ts'
import { severityOf } from './troubles.ts'

/** What the commands of a path that are no plain I/O need of it. */
export interface CommandHost {
  readonly clock: Clock
  isOpen(): boolean
  /** Why it is not open. */
  closedError(): BlockError
  /** Has a request run once, and resolves to its completion, whatever the status; `timeout` in milliseconds. */
  call(request: NvmeRequest, timeout: number, signal?: AbortSignal): Promise<Completion>
  /** A command had no good answer; `status` says what becomes of its Io. */
  failed(failed: Failed, status: IoStatus): void
}

/** How a command ends whose path has failed. */
export const CUT: IoStatus = Errno.EIO | PATH_ERROR

const MOST_DATA = 0x100_0000
const RANGE_PAUSE = 250
/** How often a command is sent again at once. */
export const MAX_RETRIES = 5

/** Sends one command of a trim or a zeroing until it has an answer that stands; resolves to how it ended. */
export async function sendRange(
  path: CommandHost,
  review: Review,
  retryDelays: readonly number[],
  request: NvmeRequest,
): Promise<IoStatus> {
  for (let tries = 1; ; tries++) {
    // What the path leads to must be known before anything is sent.
    await review.settled()
    if (!path.isOpen()) return CUT
    let code: number
    try {
      // However long it takes: whoever uses the path knows how long it may, and closes it.
      code = (await path.call(request, Infinity)).status
    } catch {
      return CUT
    }
    const { status, action, news, text: kind } = judge(code)
    review.hear(news)
    if (status !== OK) path.failed({ kind, severity: severityOf(status), ...aboutRange(request), code }, status)
    if (action === Action.None || tries > MAX_RETRIES) {
      await review.settled()
      return path.isOpen() ? status : CUT
    }
    await delay(path.clock, retryDelay(code, retryDelays) ?? (action === Action.Retry ? 0 : RANGE_PAUSE))
  }
}

/** Name and first block of a command of a trim or a zeroing. */
function aboutRange({ command, data }: NvmeRequest): Pick<Failed, 'what' | 'block'> {
  if (command.opcode === IoOpcode.WriteZeroes) {
    return { what: 'write zeroes', block: (command.cdw11 ?? 0) * 2 ** 32 + (command.cdw10 ?? 0) }
  }
  // The first of its ranges.
  return { what: 'deallocate', block: typeof data === 'number' ? undefined : get64le(data, 8) }
}

/** Sends a command that a user has made, once. */
export async function sendByHand(
  path: CommandHost,
  review: Review,
  command: NvmeCommand,
  data: Uint8Array | number,
  { signal, timeout = 30_000 }: CommandOptions,
): Promise<NvmeAnswer> {
  if (!path.isOpen()) throw path.closedError()
  if ((typeof data === 'number' ? data : data.length) > MOST_DATA) {
    const length = typeof data === 'number' ? data : data.length
    throw new TypeError(`data has ${length} bytes; at most 16 MiB are sent or received`)
  }
  await review.settled()
  if (!path.isOpen()) throw path.closedError()
  const answer = await path.call({ command, data }, timeout, signal)
  if (answer.status !== 0) review.hear(judge(answer.status).news)
  // What a command changes need not be told to who sent it.
  else if (mayChangeFormat(command)) review.hear(News.Namespace)
  return answer
}

// Format NVM, Namespace Management and Attachment, Set Features, Sanitize.
const FORMS: ReadonlySet<number> = new Set([0x80, 0x0d, 0x15, 0x09, 0x84])

function mayChangeFormat({ admin, opcode }: NvmeCommand): boolean {
  return admin && FORMS.has(opcode)
}
