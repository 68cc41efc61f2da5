import type { Clock } from '../clock.ts'
import { orAborted } from '../closing.ts'
import type { CommandSet } from '../commands.ts'
import { protocolName } from '../commands.ts'
import { BlockError, messageOf } from '../errors.ts'
import type { Path } from '../target.ts'
import type { VolumeId } from '../volume-id.ts'
import type { PathSlot } from './path-slot.ts'

// How often a command is sent again on one path: after a reset, storage has news of a few kinds before it runs anything.
const MOST_AGAIN = 8

/** A path that takes commands. */
export interface Taker {
  readonly slot: PathSlot
  readonly path: Path
  readonly commands: CommandSet
}

/** The paths that a command of one protocol may take. */
export interface Route {
  /** An open path of the protocol that is not in `tried`, the best first. */
  pick(tried: ReadonlySet<Path>): Taker | undefined
  /** Why there is none. */
  fault(): BlockError
}

/** Over one path. */
export function oneRoute(slot: PathSlot, protocol: string): Route {
  const { id } = slot.entry
  return {
    pick: (tried) => (slot.state === 'up' ? untried([slot], protocol, tried) : undefined),
    fault: () =>
      slot.state === 'up'
        ? new BlockError('NOT_SUPPORTED', `path ${id} takes no ${protocolName(protocol)} commands`)
        : new BlockError('NO_PATH', `path ${id} is ${slot.state}${slot.reason === '' ? '' : `: ${slot.reason}`}`),
  }
}

/** Over the paths that are up, in the order of `slots`. */
export function anyRoute(volume: VolumeId, protocol: string, slots: () => readonly PathSlot[]): Route {
  return {
    pick: (tried) => untried(slots(), protocol, tried),
    fault: () =>
      slots().length === 0
        ? new BlockError('NO_PATH', `no path to volume ${volume} is up`)
        : new BlockError(
            'NOT_SUPPORTED',
            `no path to volume ${volume} that is up takes ${protocolName(protocol)} commands`,
          ),
  }
}

function untried(slots: readonly PathSlot[], protocol: string, tried: ReadonlySet<Path>): Taker | undefined {
  for (const slot of slots) {
    const path = slot.entry.path as Path
    const { commands } = path
    if (commands?.protocol === protocol && !tried.has(path)) return { slot, path, commands }
  }
  return undefined
}

/** A command on its way. */
export interface PassedCommand {
  readonly command: unknown
  readonly data: Uint8Array | number
  /** Milliseconds for all tries together. */
  readonly timeout: number
  /** Each ends the wait, with a BlockError where it was not the caller. */
  readonly signals: readonly AbortSignal[]
}

/** What a device hears of a command that passes. */
export interface PassThroughOwner {
  /** The path that a slot had has failed with a command that may still change data. */
  unproven(slot: PathSlot, path: Path): void
  /** A command has changed who may do what. */
  reservationsChanged(): void
}

interface Try extends PassedCommand {
  readonly signal: AbortSignal
  /** Milliseconds that are left. */
  left(): number
}

/**
 * Sends a command through one path after another, each once, until one has run it. After a path failed without an
 * answer only a command that may be repeated goes on.
 */
export async function passThrough(
  route: Route,
  passed: PassedCommand,
  owner: PassThroughOwner,
  clock: Clock,
): Promise<unknown> {
  const { timeout, signals } = passed
  const over = new AbortController()
  const end = clock.now() + timeout * 1000
  const timer = clock.after(timeout, () =>
    over.abort(new BlockError('TIMED_OUT', `no answer within ${timeout} ms; the command may have run`)),
  )
  const left = (): number => Math.max(1, (end - clock.now()) / 1000)
  try {
    return await tryEach(route, { ...passed, signal: AbortSignal.any([over.signal, ...signals]), left }, owner)
  } finally {
    timer.cancel()
  }
}

async function tryEach(route: Route, one: Try, owner: PassThroughOwner): Promise<unknown> {
  const { command, signal } = one
  const tried = new Set<Path>()
  let last: { readonly answer: unknown } | undefined
  let failure: unknown
  for (let taker = route.pick(tried); taker !== undefined; taker = route.pick(tried)) {
    const { slot, path, commands } = taker
    tried.add(path)
    try {
      const answer = await send(commands, one)
      last = { answer }
      if (commands.verdict(answer) !== 'ran') continue
      if (commands.changedReservations(command, answer)) owner.reservationsChanged()
      return answer
    } catch (error) {
      if (isLoss(error) && commands.mayChangeData(command)) owner.unproven(slot, path)
      if (signal.aborted || !isLoss(error)) throw error
      if (!commands.mayRepeat(command)) throw unknownOutcome(path, error)
      failure = error
    }
  }
  // An answer, though the command did not run, says more than a lost path.
  if (last !== undefined) return last.answer
  throw failure ?? route.fault()
}

async function send(commands: CommandSet, { command, data, signal, left }: Try): Promise<unknown> {
  for (let again = 0; ; again++) {
    const answer = await orAborted(commands.send(command, data, { signal, timeout: left() }), signal)
    if (commands.verdict(answer) !== 'again' || again === MOST_AGAIN) return answer
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
