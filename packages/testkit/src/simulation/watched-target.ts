import type {
  Access,
  BlockDevicePair,
  DeviceLimits,
  Io,
  Path,
  PathEvents,
  PathInfo,
  SignalOptions,
  Target,
} from '@blockbraid/core'
import { abortable, createEmitter, Errno, IoOp, NOT_EXECUTED, OK, PATH_ERROR } from '@blockbraid/core'
import type { OpenPath, PathCount, Process, World } from './world.ts'

const LOST = Errno.EIO | PATH_ERROR

/** The same target; what goes through its paths is counted and judged, and their answers may be lost. */
export function watched(world: World, target: Target, process: () => Process): Target {
  return {
    name: target.name,
    events: target.events!,
    discover: (options) => target.discover(options),
    fence: (token, options) => target.fence!(token, options),
    close: (options) => target.close(options),
    async connect(info, options) {
      const path = await target.connect(asItIs(world, info), options)
      return watchedPath(world, path, process())
    },
  }
}

// A target may be of those that do not look where they lead: then core has to.
function asItIs({ array, volumes }: World, info: PathInfo): PathInfo {
  const [, port, lun] = /port(\d+)\/lun(\d+)/.exec(info.id)!
  const there = array.ports[Number(port)]?.luns.find((each) => each.lun === Number(lun))
  return there === undefined || Number(lun) >= volumes.length ? info : { ...info, volume: there.volume }
}

function watchedPath(world: World, path: Path, process: Process): Path {
  const port = Number(/port(\d+)/.exec(path.id)![1])
  const volume = world.array.volumes.findIndex(({ id }) => id === path.volume)
  const state = world.volumes[volume]
  // It leads to a volume that nobody uses.
  if (state === undefined) return path
  const open: OpenPath = { id: path.id, port, volume, heard: state.losses, access: path.access, rests: 0, inflight: 0 }
  const count = countOf(process, path.id)
  const events = createEmitter<PathEvents>()
  const unanswered = new Map<Io, (status: number) => void>()
  process.paths.add(open)
  const loseAnswers = (): void => {
    for (const end of [...unanswered.values()]) end(LOST)
  }
  path.events.on('access', (access) => {
    open.access = access
    events.emit('access', access)
  })
  const narrowed = narrowing(world.shape.maxTransfer)
  const told = new Told(path, narrowed)
  path.events.on('limits', (limits) => void events.emit('limits', narrowed(limits)))
  path.events.on('cacheLost', (reason) => {
    open.heard = state.losses
    events.emit('cacheLost', reason)
  })
  path.events.on('trouble', (trouble) => void events.emit('trouble', trouble))
  path.events.on('down', (error) => {
    process.paths.delete(open)
    loseAnswers()
    events.emit('down', error)
  })
  const { ping, wasReset, fenceToken } = path
  return Object.assign(told, {
    id: path.id,
    volume: path.volume,
    events,
    ...(wasReset !== undefined && { wasReset }),
    ...(fenceToken !== undefined && { fenceToken }),
    ...(path.activate !== undefined && { activate: path.activate.bind(path) }),
    ...(ping !== undefined && {
      async ping(options?: SignalOptions): Promise<void> {
        await ping.call(path, options)
        if (world.muted.has(port)) await abortable(new Promise<void>(() => {}), options?.signal)
      },
    }),
    submit(io: Io): void {
      const { done } = io
      // Core asks for a sign of life by an Io of its own, which it does not count.
      const counts = io.owner !== null
      if (counts) {
        // Core may have read it before it was told.
        judge(world, process, open, better(open.access, path.access))
        // In front of a path that takes less than its device one Io may become several at once.
        if (open.inflight >= path.limits.queueDepth && !world.has('flags'))
          world.fail(`${path.id} gets more than the ${path.limits.queueDepth} Ios that it works on at once`)
        open.inflight++
        count.inflight++
      }
      const end = (status: number): void => {
        unanswered.delete(io)
        io.done = done
        if (counts) {
          open.inflight--
          note(count, io, status)
        }
        done(io, status)
      }
      // Not assigned as it is written: V8 takes such a function for one that lives long, and what it knows with it.
      const watchedDone: Io['done'] = (_io, status) => {
        if ((status & NOT_EXECUTED) !== 0) open.rests = restsUntil(world)
        if (world.muted.has(port) && process.paths.has(open)) unanswered.set(io, end)
        else end(status)
      }
      io.done = watchedDone
      path.submit(io)
    },
    close(options?: SignalOptions): Promise<void> {
      process.paths.delete(open)
      const closing = path.close(options)
      world.host.clock.defer(loseAnswers)
      return closing
    },
  })
}

/**
 * What a path tells. No getters of a literal: those are old to the collector from the start, and hold all that they know
 * until it collects everything.
 */
class Told {
  readonly #path: Path
  readonly #narrowed: (limits: DeviceLimits) => DeviceLimits

  constructor(path: Path, narrowed: (limits: DeviceLimits) => DeviceLimits) {
    this.#path = path
    this.#narrowed = narrowed
  }

  get limits(): DeviceLimits {
    return this.#narrowed(this.#path.limits)
  }

  get access(): Access {
    return this.#path.access
  }

  get preferred(): boolean | undefined {
    return this.#path.preferred
  }

  get transitionTime(): number | undefined {
    return this.#path.transitionTime
  }
}

/** The same limits with less in one command; the same object for the same. */
function narrowing(maxTransfer: number): (limits: DeviceLimits) => DeviceLimits {
  let told: DeviceLimits | undefined
  let narrow: DeviceLimits | undefined
  return (limits) => {
    if (told !== limits || narrow === undefined)
      narrow = { ...limits, maxTransfer: Math.min(maxTransfer, limits.maxTransfer) }
    told = limits
    return narrow
  }
}

function countOf({ counts }: Process, id: string): PathCount {
  const known = counts.get(id) ?? { inflight: 0, ios: 0, errors: 0, bytes: 0 }
  counts.set(id, known)
  return known
}

function note(count: PathCount, { op, length }: Io, status: number): void {
  count.inflight--
  count.ios++
  if (status !== OK) count.errors++
  else if (op <= IoOp.Write) count.bytes += length
}

function restsUntil({ host, shape }: World): number {
  return host.clock.now() + shape.multipath.reconnectDelay * 1000
}

const serving: readonly Access[] = ['non-optimized', 'optimized']

function better(one: Access, other: Access): Access {
  return serving.indexOf(other) > serving.indexOf(one) ? other : one
}

// An I/O goes to the best access state that there is.
function judge(world: World, process: Process, { volume, id }: OpenPath, access: Access): void {
  const now = world.host.clock.now()
  if (access === 'optimized') return
  if (access !== 'non-optimized') return world.fail(`an I/O goes to ${id}, which is ${access}`)
  // What is done in pieces in front of a path that takes less goes on there.
  if (world.has('flags')) return
  for (const other of process.paths) {
    if (other.volume !== volume || other.access !== 'optimized' || other.rests >= now) continue
    const pair = process.served[volume]?.pair
    if (pair === undefined || !serves(pair, other.id)) continue
    return world.fail(`an I/O goes to ${id}, which is non-optimized, though ${other.id} is up and optimized`)
  }
}

function serves({ paths }: BlockDevicePair, id: string): boolean {
  const status = paths.find((path) => path.id === id)
  return (
    status?.state === 'up' &&
    status.access === 'optimized' &&
    status.standsBack === undefined &&
    status.health === undefined
  )
}
