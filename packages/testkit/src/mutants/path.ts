import type { Io, IoDone, IoStatus, Path, PathEvents } from '@blockbraid/core'
import { Errno, Io as IoClass, IoOp, NO_BUFFERS, NOT_EXECUTED, OK, PATH_ERROR } from '@blockbraid/core'
import { forward } from '../doubles/forward.ts'
import type { Mutant } from '../harness/mutant.ts'
import type { Emitter } from '../minimal/emitter.ts'
import { createEmitter } from '../minimal/emitter.ts'
import type { PathFaults, PathSuiteOptions } from '../suites/path-scope.ts'

function withSound(faults: PathFaults, sound: (path: Path) => Path): PathFaults {
  const changed: PathFaults = {
    kill: (path) => faults.kill(sound(path)),
    hang: (path) => faults.hang(sound(path)),
    release: (path) => faults.release(sound(path)),
    second: (path) => faults.second(sound(path)),
  }
  const { dark, setAccess, setPreferred, grow, breakMedium } = faults
  if (dark !== undefined) changed.dark = (path) => dark(sound(path))
  if (setAccess !== undefined) changed.setAccess = (path, access) => setAccess(sound(path), access)
  if (setPreferred !== undefined) changed.setPreferred = (path, on) => setPreferred(sound(path), on)
  if (grow !== undefined) changed.grow = (path, size) => grow(sound(path), size)
  if (breakMedium !== undefined) changed.breakMedium = (path, ...range) => breakMedium(sound(path), ...range)
  return changed
}

function mutant(breaks: string, name: string, breaking: (path: Path) => Partial<Path>): Mutant<PathSuiteOptions> {
  return {
    name,
    breaks,
    apply(options) {
      const originals = new WeakMap<Path, Path>()
      const sound = (path: Path): Path => originals.get(path) ?? path
      const open = async (): Promise<Path> => {
        const path = await options.open()
        const broken = forward<Path>(path, breaking(path))
        originals.set(broken, path)
        return broken
      }
      return { ...options, open, faults: withSound(options.faults, sound) }
    },
  }
}

/** Submits so that `end` decides how and when the caller's Io ends. */
function resubmit(path: Path, io: Io, end: (status: IoStatus) => void): void {
  const { op, flags, offset, length, buffers } = io
  const done: IoDone = (inner, status) => {
    if (io.buffers === NO_BUFFERS) io.buffers = inner.buffers
    end(status)
  }
  path.submit(Object.assign(new IoClass(), { op, flags, offset, length, buffers, done }))
}

const withStatus =
  (change: (status: IoStatus) => IoStatus) =>
  (path: Path): Partial<Path> => ({ submit: (io) => resubmit(path, io, (status) => io.done(io, change(status))) })

/** Events of which `tell` decides what becomes of `down`. */
function changedDown(path: Path, tell: (events: Emitter<PathEvents>, reason: Error) => void): Emitter<PathEvents> {
  const events = createEmitter<PathEvents>()
  path.events.on('access', (access) => events.emit('access', access))
  path.events.on('limits', (limits) => events.emit('limits', limits))
  path.events.on('down', (reason) => tell(events, reason))
  return events
}

const withoutEvent =
  (silent: keyof PathEvents) =>
  (path: Path): Partial<Path> => {
    const { events } = path
    const nothing = (): void => {}
    return {
      events: {
        on: (event, listener) => (event === silent ? nothing() : events.on(event, listener)),
        once: (event, listener) => (event === silent ? nothing() : events.once(event, listener)),
        off: (event, listener) => events.off(event, listener),
      },
    }
  }

/** Gives up what is in flight and leaves the session open behind it. */
function closesWithoutFence(path: Path): Partial<Path> {
  const running = new Set<Io>()
  return {
    submit(io) {
      running.add(io)
      resubmit(path, io, (status) => {
        if (running.delete(io)) io.done(io, status)
      })
    },
    async close() {
      for (const io of running) io.done(io, Errno.EIO | PATH_ERROR)
      running.clear()
    },
  }
}

/** Broken paths, each of which {@link pathSuite} must catch. */
export const pathMutants: readonly Mutant<PathSuiteOptions>[] = [
  mutant(
    'rule 8: on a path whose port died',
    'leaves PATH_ERROR out',
    withStatus((status) => status & ~(PATH_ERROR | NOT_EXECUTED)),
  ),
  mutant(
    'rule 8: a medium error',
    'calls every error a path error',
    withStatus((status) => (status === OK ? OK : status | PATH_ERROR)),
  ),
  mutant('rule 8: Ios on a standby path', 'says NOT_EXECUTED of a write that it runs later', (path) => ({
    submit: (io) => {
      const buffers = io.op === IoOp.Write ? [Buffer.concat(io.buffers)] : NO_BUFFERS
      const { op, offset, length } = io
      resubmit(path, io, (status) => {
        if (op === IoOp.Write && (status & NOT_EXECUTED) !== 0) {
          const late = Object.assign(new IoClass(), { op, offset, length, buffers, done: () => {} })
          path.events.once('access', () => path.submit(late))
        }
        io.done(io, status)
      })
    },
  })),
  mutant('rule 9: close ends Ios in flight', 'waits in close until the array has answered', (path) => {
    let running = 0
    let idle = (): void => {}
    return {
      submit(io) {
        running++
        resubmit(path, io, (status) => {
          running--
          io.done(io, status)
          if (running === 0) idle()
        })
      },
      async close() {
        if (running > 0) {
          await new Promise<void>((resolve) => {
            idle = resolve
          })
        }
        await path.close()
      },
    }
  }),
  mutant('rule 9: when close has settled', 'settles close before the fence', closesWithoutFence),
  mutant('rule 9: nor after the port died', 'does not fence once it is down', (path) => {
    let down = false
    path.events.on('down', () => {
      down = true
    })
    return { close: (options) => (down ? Promise.resolve() : path.close(options)) }
  }),
  mutant('rule 10: down is emitted once', 'emits down before Ios in flight are done', (path) => ({
    submit: (io) => resubmit(path, io, (status) => queueMicrotask(() => queueMicrotask(() => io.done(io, status)))),
  })),
  mutant('rule 10: down is emitted once', 'emits down twice', (path) => ({
    events: changedDown(path, (events, reason) => {
      events.emit('down', reason)
      queueMicrotask(() => events.emit('down', reason))
    }),
  })),
  mutant('rule 10: down is emitted once', 'emits no down', withoutEvent('down')),
  mutant('rule 10: down is not emitted after close', 'emits down when it was closed', (path) => {
    const events = changedDown(path, (own, reason) => own.emit('down', reason))
    return {
      events,
      async close(options) {
        await path.close(options)
        events.emit('down', new Error('closed'))
      },
    }
  }),
  mutant('access: a change', 'does not tell of a new access state', withoutEvent('access')),
  mutant('access: whether the port is preferred', 'does not tell that it is preferred', () => ({ preferred: false })),
  mutant('access: whether the port is preferred', 'says once and for all that it is preferred', () => ({
    preferred: true,
  })),
  mutant('access: activate', 'does nothing on activate', () => ({ activate: async () => {} })),
  mutant('ping: a path through which nothing', 'answers a ping without asking', () => ({
    ping: async ({ signal } = {}) => signal?.throwIfAborted(),
  })),
  mutant('ping: a path through which nothing', 'asks on when the signal has fired', (path) => ({
    async ping({ signal } = {}) {
      signal?.throwIfAborted()
      await path.ping!()
    },
  })),
  mutant('ping: it rejects where the signal', 'answers a ping after its end', (path) => ({
    ping: async (options) => {
      options?.signal?.throwIfAborted()
      await path.ping!(options).catch((error) => {
        if (options?.signal?.aborted) throw error
      })
    },
  })),
  mutant('limits', 'does not tell of growth', withoutEvent('limits')),
  mutant('identity', 'has an identity of its own', () => ({ volume: 'serial.mutant' })),
  mutant('capabilities', 'has a malformed identity', () => ({ volume: 'naa.123' })),
]
