import type { Clock } from '../clock.ts'
import { delay } from '../clock.ts'
import { orAborted } from '../closing.ts'
import { BlockError } from '../errors.ts'
import type { Path } from '../target.ts'
import type { PathSource } from './path-slot.ts'

/** An open path, and its end where that came before anybody else listened. */
export interface Connection {
  readonly path: Path
  down: Error | undefined
}

/**
 * One try to open a path, within `timeout` ms; what answers too late or is another volume is closed again. `opened` gets
 * every path to the volume at once, also one that comes too late: what it tells it tells once.
 */
export async function connectOnce(
  { target, info }: PathSource,
  clock: Clock,
  timeout: number,
  signal: AbortSignal,
  opened: (path: Path) => void,
): Promise<Connection> {
  const over = new AbortController()
  const both = AbortSignal.any([signal, over.signal])
  const connecting = target.connect(info, { signal: both }).then((path): Connection => {
    const connection: Connection = { path, down: undefined }
    path.events.once('down', (error) => {
      connection.down = error
    })
    if (path.volume === info.volume) opened(path)
    return connection
  })
  const timedOut = delay(clock, timeout, both).then(() => {
    throw new BlockError('TIMED_OUT', `${info.address} did not answer within ${timeout} ms`)
  })
  let connection: Connection
  try {
    connection = await orAborted(Promise.race([connecting, timedOut]), signal)
  } catch (error) {
    connecting.then(({ path }) => abandon(path)).catch(() => {})
    throw error
  } finally {
    over.abort()
    timedOut.catch(() => {})
  }
  if (connection.path.volume === info.volume) return connection
  abandon(connection.path)
  const now = connection.path.volume
  throw new BlockError('IDENTITY_CHANGED', `${info.id} now leads to volume ${now}, not to ${info.volume}`)
}

/** Closes a path through which nothing was sent: there is nothing to wait for. */
export function abandon(path: Path): void {
  path.close().catch(() => {})
}
