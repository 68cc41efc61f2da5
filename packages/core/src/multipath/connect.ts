import type { Clock, Timer } from '../clock.ts'
import { orAborted } from '../closing.ts'
import { BlockError } from '../errors.ts'
import type { Path } from '../target.ts'
import type { ConnectTurns } from './connects/connect-turns.ts'
import type { PathSource } from './path-source.ts'

/** An open path, and its end where that came before anybody else listened. */
export interface Connection {
  readonly path: Path
  down: Error | undefined
}

/** How to connect. */
export interface ConnectOnce {
  readonly clock: Clock
  /** Milliseconds without a sign of progress. */
  readonly timeout: number
  readonly signal: AbortSignal
  /** The order among those that connect. */
  readonly turns: ConnectTurns
  /** Whether the last try had no answer. */
  readonly silent: boolean
  /** Whether what another try met a moment ago will do. */
  readonly recent: boolean
  /** Gets every path to the volume at once, also one that comes too `late`, and is closed: what it tells it tells once. */
  readonly opened: (path: Path, late: boolean) => void
}

// An array that is slow but answers is given so many times the time-out in all.
const MOST_TIMEOUTS = 12

/** One try to open a path, when it is its turn; what answers too late or is another volume is closed again. */
export async function connectOnce(source: PathSource, options: ConnectOnce): Promise<Connection> {
  const { turns, silent, signal } = options
  const place = turns.tryEnter() ?? (await turns.enter(silent, signal))
  try {
    return await tryToConnect(source, options)
  } finally {
    place.leave()
  }
}

async function tryToConnect(
  { target, info }: PathSource,
  { clock, timeout, signal, recent, opened }: ConnectOnce,
): Promise<Connection> {
  const over = new AbortController()
  const both = AbortSignal.any([signal, over.signal])
  let late = false
  const limit = patience(clock, timeout, MOST_TIMEOUTS, info.address)
  const options = { signal: both, recent, progress: limit.progress }
  const connecting = target.connect(info, options).then((path): Connection => {
    const connection: Connection = { path, down: undefined }
    path.events.once('down', (error) => {
      connection.down = error
    })
    if (path.volume === info.volume) opened(path, late)
    return connection
  })
  limit.progress()
  let connection: Connection
  try {
    connection = await orAborted(Promise.race([connecting, limit.over]), signal)
  } catch (error) {
    late = true
    connecting.then(({ path }) => abandon(path)).catch(() => {})
    throw error
  } finally {
    over.abort()
    limit.end()
  }
  if (connection.path.volume === info.volume) return connection
  abandon(connection.path)
  const now = connection.path.volume
  throw new BlockError('IDENTITY_CHANGED', `${info.id} now leads to volume ${now}, not to ${info.volume}`)
}

/** From the first `progress` on: `over` rejects when there was no other for `timeout` ms, or after `most` times that in all. */
function patience(clock: Clock, timeout: number, most: number, address: string) {
  const deadline = clock.now() + most * timeout * 1000
  let ended = false
  let timer: Timer | undefined
  let progress = (): void => {}
  const over = new Promise<never>((_, reject) => {
    progress = () => {
      if (ended) return
      timer?.cancel()
      const left = Math.min(timeout, (deadline - clock.now()) / 1000)
      timer = clock.after(Math.max(0, left), () =>
        reject(new BlockError('TIMED_OUT', `${address} did not answer within ${timeout} ms`)),
      )
    }
  })
  const end = (): void => {
    ended = true
    timer?.cancel()
  }
  return { over, progress, end }
}

/** Closes a path through which nothing was sent: there is nothing to wait for. */
export function abandon(path: Path): void {
  path.close().catch(() => {})
}
