import type { Clock } from '../clock.ts'
import { orAborted } from '../closing.ts'
import { BlockError, messageOf } from '../errors.ts'
import type { ScsiAnswer } from '../scsi.ts'
import { isIdempotent, judge, mayChangeData } from '../scsi.ts'
import type { SignalOptions } from '../signal.ts'
import type { Path } from '../target.ts'
import type { VolumeId } from '../volume-id.ts'
import type { PathSlot } from './path-slot.ts'

// Unit attentions that are waited out on one path: after a reset a logical unit has a few.
const MAX_ATTENTIONS = 8

/** A SCSI command on its way. */
interface Command {
  readonly cdb: Uint8Array
  readonly data: Uint8Array | number
  /** Ends the wait, with a BlockError where it was not the caller. */
  readonly signal: AbortSignal
  /** Milliseconds that are left. */
  left(): number
}

/** The paths that a SCSI command may take. */
export interface Route {
  /** An open path that takes SCSI commands and is not in `tried`, the best first. */
  pick(tried: ReadonlySet<Path>): Path | undefined
  /** Why there is none. */
  fault(): BlockError
}

/** Over one path. */
export function oneRoute(slot: PathSlot): Route {
  const { id } = slot.entry
  return {
    pick: (tried) => (slot.state === 'up' ? untried([slot], tried) : undefined),
    fault: () =>
      slot.state === 'up'
        ? new BlockError('NOT_SUPPORTED', `path ${id} takes no SCSI commands`)
        : new BlockError('NO_PATH', `path ${id} is ${slot.state}${slot.reason === '' ? '' : `: ${slot.reason}`}`),
  }
}

/** Over the paths that are up, in the order of `slots`. */
export function anyRoute(volume: VolumeId, slots: () => readonly PathSlot[]): Route {
  return {
    pick: (tried) => untried(slots(), tried),
    fault: () =>
      slots().length === 0
        ? new BlockError('NO_PATH', `no path to volume ${volume} is up`)
        : new BlockError('NOT_SUPPORTED', `no path to volume ${volume} that is up takes SCSI commands`),
  }
}

function untried(slots: readonly PathSlot[], tried: ReadonlySet<Path>): Path | undefined {
  return slots.map(({ entry }) => entry.path as Path).find((path) => path.scsi !== undefined && !tried.has(path))
}

/**
 * Sends a SCSI command through one path after another, each once, until one has run it. After a path
 * failed without an answer only an idempotent command goes on.
 */
export async function passThrough(
  route: Route,
  cdb: Uint8Array,
  data: Uint8Array | number,
  options: {
    readonly timeout: number
    readonly signals: readonly AbortSignal[]
    /** A path has failed with a command that may still change data. */
    readonly onUnproven: (path: Path) => void
  },
  clock: Clock,
): Promise<ScsiAnswer> {
  const { timeout, signals, onUnproven } = options
  const over = new AbortController()
  const end = clock.now() + timeout * 1000
  const timer = clock.after(timeout, () =>
    over.abort(new BlockError('TIMED_OUT', `no answer within ${timeout} ms; the command may have run`)),
  )
  const command: Command = {
    cdb,
    data,
    signal: AbortSignal.any([over.signal, ...signals]),
    left: () => Math.max(1, (end - clock.now()) / 1000),
  }
  try {
    return await tryEach(route, command, onUnproven)
  } finally {
    timer.cancel()
  }
}

async function tryEach(route: Route, command: Command, onUnproven: (path: Path) => void): Promise<ScsiAnswer> {
  const tried = new Set<Path>()
  let last: ScsiAnswer | undefined
  let failure: unknown
  for (let path = route.pick(tried); path !== undefined; path = route.pick(tried)) {
    tried.add(path)
    try {
      last = await send(path, command)
      if (judge(last) === 'ran') return last
    } catch (error) {
      if (isLoss(error) && mayChangeData(command.cdb)) onUnproven(path)
      if (command.signal.aborted || !isLoss(error)) throw error
      if (!isIdempotent(command.cdb)) throw unknownOutcome(path, error)
      failure = error
    }
  }
  // An answer, though the command did not run, says more than a lost path.
  if (last !== undefined) return last
  throw failure ?? route.fault()
}

async function send(path: Path, { cdb, data, signal, left }: Command): Promise<ScsiAnswer> {
  for (let attentions = 0; ; attentions++) {
    const options: SignalOptions & { timeout: number } = { signal, timeout: left() }
    const answer = await orAborted((path.scsi as NonNullable<Path['scsi']>)(cdb, data, options), signal)
    if (judge(answer) !== 'again' || attentions === MAX_ATTENTIONS) return answer
  }
}

// The path failed, and the command did not: its own errors are answers.
function isLoss(error: unknown): boolean {
  return BlockError.is(error) && (error.code === 'IO_FAILED' || error.code === 'CLOSED')
}

function unknownOutcome(path: Path, cause: unknown): BlockError {
  const message = `path ${path.id} failed before it answered (${messageOf(cause)}); the command may have run`
  return new BlockError('IO_FAILED', message, { cause })
}
