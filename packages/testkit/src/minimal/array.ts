import type {
  Access,
  Host,
  Io,
  IoStatus,
  Path,
  PathEvents,
  PathInfo,
  Target,
  TargetEvents,
  VolumeId,
} from '@blockbraid/core'
import { BlockError, Errno, IoOp, NO_BUFFERS, NOT_EXECUTED, PATH_ERROR, systemHost } from '@blockbraid/core'
import type { Change } from './change.ts'
import { createChange } from './change.ts'
import type { Emitter } from './emitter.ts'
import { createEmitter } from './emitter.ts'
import type { MinimalStorage } from './storage.ts'
import { createMinimalStorage, execute, extentsOf } from './storage.ts'

/** A command inside the array: it may run after its path has given up on it. */
interface Command {
  readonly io: Io
  readonly session: Session
  /** What the array received of a write. */
  readonly payload: Uint8Array[]
  answered: boolean
}

interface Session {
  readonly port: Port
  readonly storage: MinimalStorage
  readonly events: Emitter<PathEvents>
  readonly inflight: Set<Command>
  /** The target that opened it. */
  readonly owner: Owner
  readonly token: string
  access: Access
  preferred: boolean
  state: 'up' | 'down' | 'closed'
  end: Promise<void> | undefined
}

/** A target, as the array sees it. */
interface Owner {
  /** Its process was killed. */
  dead: boolean
  end: Promise<void> | undefined
}

interface Port {
  readonly name: string
  alive: boolean
  hangs: boolean
  held: Command[]
  /** It hangs no longer, or a session of it has ended. */
  readonly change: Change
  readonly sessions: Set<Session>
}

interface Volume {
  readonly id: VolumeId
  readonly storage: MinimalStorage
  /** Byte ranges that cannot be read. */
  readonly broken: { offset: number; length: number }[]
}

/** A small array and the ways to disturb it. */
export interface MinimalArray {
  /** The target before it. */
  readonly target: Target
  /** Its port dies. */
  kill(path: Path): void
  /** Its port holds every command. */
  hang(path: Path): void
  /** Its port runs what it has held. */
  release(path: Path): void
  /** Opens the same volume through the next port. */
  second(path: Path): Promise<Path>
  /** Changes its access state. */
  setAccess(path: Path, access: Access): void
  /** It would rather have its port used, or no longer. */
  prefer(path: Path, on: boolean): void
  /** Grows its volume to `size` bytes. */
  grow(path: Path, size: number): void
  /** Makes a range of its volume unreadable. */
  breakMedium(path: Path, offset: number, length: number): void
  /** The process that has `target` is never answered any more, and what it has sent stays here. */
  killProcess(target: Target): void
  /** The target of the next process. */
  heir(): Target
  /** Lets the address of a path lead to another volume. */
  exchange(info: PathInfo): void
  /** Adds a volume, and says so. */
  addVolume(): void
  /** What its volume is stored in. */
  storageOf(path: Path): MinimalStorage
}

/**
 * An array of a few volumes that every port shows, for tests of the suites. It is not a reference
 * implementation; `@blockbraid/target-memory` is the simulated array for programs.
 */
export function createMinimalArray(host: Host = systemHost, volumeCount = 2, portCount = 2): MinimalArray {
  const { clock } = host
  const events = createEmitter<TargetEvents>()
  const volumes: Volume[] = []
  const ports: Port[] = Array.from({ length: portCount }, (_, index) => ({
    name: `port${index}`,
    alive: true,
    hangs: false,
    held: [],
    change: createChange(),
    sessions: new Set(),
  }))
  const sessions = new WeakMap<Path, Session>()
  const owners = new WeakMap<Target, Owner>()
  let connections = 0

  const addVolume = (storage = createMinimalStorage()): void => {
    const id: VolumeId = `naa.6${volumes.length.toString(16).padStart(31, '0')}`
    volumes.push({ id, storage, broken: [] })
  }
  for (let count = 0; count < volumeCount; count++) addVolume()

  const answer = (command: Command, status: IoStatus): void => {
    if (command.answered) return
    command.answered = true
    command.session.inflight.delete(command)
    if (command.session.owner.dead) return
    command.io.done(command.io, status)
  }

  const run = (command: Command): void => {
    const { io, session, payload, answered } = command
    // A fence has removed it from the array.
    if (session.state === 'closed') return
    const usable = session.access === 'optimized' || session.access === 'non-optimized'
    if (!usable) return answer(command, Errno.EAGAIN | PATH_ERROR | NOT_EXECUTED)
    const volume = volumes.find(({ storage }) => storage === session.storage)!
    const bad = volume.broken.some(
      (range) => io.offset < range.offset + range.length && range.offset < io.offset + io.length,
    )
    if (bad && io.op === IoOp.Read) return answer(command, Errno.ENODATA)
    if (answered && io.op === IoOp.Read) return
    answer(
      command,
      execute(session.storage, payload === NO_BUFFERS ? io : Object.assign(copy(io), { buffers: payload })),
    )
  }

  const loseSession = (session: Session, why: string): void => {
    if (session.state !== 'up') return
    session.state = 'down'
    session.port.change.tell()
    for (const command of [...session.inflight]) answer(command, Errno.EIO | PATH_ERROR)
    session.events.emit('down', new BlockError('CONNECT_FAILED', why))
  }

  const submit = (session: Session, io: Io): void => {
    if (session.state !== 'up') {
      const status = session.state === 'closed' ? Errno.ESHUTDOWN : Errno.EIO | PATH_ERROR
      return clock.defer(() => io.done(io, status))
    }
    const payload = io.op === IoOp.Write ? [Buffer.concat(io.buffers)] : NO_BUFFERS
    const command: Command = { io, session, payload, answered: false }
    session.inflight.add(command)
    if (session.port.hangs) session.port.held.push(command)
    else clock.defer(() => run(command))
  }

  const closeSession = (session: Session): Promise<void> => {
    session.end ??= new Promise((resolve) => {
      session.state = 'closed'
      session.port.change.tell()
      session.port.sessions.delete(session)
      session.port.held = session.port.held.filter((command) => command.session !== session)
      clock.defer(() => {
        for (const command of [...session.inflight]) answer(command, Errno.EIO | PATH_ERROR)
        resolve()
      })
    })
    return session.end
  }

  const answers = async (session: Session, signal: AbortSignal | undefined): Promise<void> => {
    const { port } = session
    while (session.state === 'up' && port.hangs) await port.change.next(signal)
    if (session.state !== 'up') throw new BlockError('IO_FAILED', `the session is ${session.state}`)
  }

  const openPath = (info: PathInfo, volume: Volume, port: Port, owner: Owner): Path => {
    const { storage } = volume
    const session: Session = {
      owner,
      token: `minimal:connection ${++connections}`,
      port,
      storage,
      events: createEmitter(),
      inflight: new Set(),
      access: 'optimized',
      preferred: false,
      state: 'up',
      end: undefined,
    }
    port.sessions.add(session)
    const path: Path = {
      id: info.id,
      volume: volume.id,
      fenceToken: session.token,
      events: session.events,
      get access() {
        return session.access
      },
      get preferred() {
        return session.preferred
      },
      get limits() {
        return storage.limits
      },
      submit: (io) => submit(session, io),
      close: () => closeSession(session),
      async extents(offset, length, { signal } = {}) {
        stopIf(signal)
        return extentsOf(storage, offset, length)
      },
      async ping({ signal } = {}) {
        stopIf(signal)
        await answers(session, signal)
      },
      async activate({ signal } = {}) {
        stopIf(signal)
        setAccess(session, 'optimized')
      },
    }
    sessions.set(path, session)
    return path
  }

  const describe = (lun: number, port: Port): PathInfo => {
    const { id, storage } = volumes[lun]!
    const { size, blockSize } = storage.limits
    return { id: `minimal:${port.name}/lun${lun}`, address: port.name, lun: String(lun), volume: id, size, blockSize }
  }

  const listPaths = (): PathInfo[] =>
    ports.filter(({ alive }) => alive).flatMap((port) => volumes.map((_, lun) => describe(lun, port)))

  const fence = async (token: string): Promise<void> => {
    const number = /^minimal:connection (\d+)$/.exec(token)?.[1]
    if (number === undefined || Number(number) > connections)
      throw new BlockError('NOT_SUPPORTED', `${JSON.stringify(token)} is no connection of this array`)
    const session = ports.flatMap((port) => [...port.sessions]).find((each) => each.token === token)
    if (session !== undefined) await closeSession(session)
  }

  const createTarget = (): Target => {
    const owner: Owner = { dead: false, end: undefined }
    const mustBeOpen = (): void => {
      if (owner.end !== undefined) throw new BlockError('CLOSED', 'the target is closed')
    }
    const target: Target = {
      name: 'minimal',
      events,
      async discover({ signal } = {}) {
        mustBeOpen()
        stopIf(signal)
        return listPaths()
      },
      async connect(info, { signal } = {}) {
        mustBeOpen()
        stopIf(signal)
        const [, name, lun] = /^minimal:(port\d+)\/lun(\d+)$/.exec(info.id) ?? []
        const port = ports.find((each) => each.name === name)
        const volume = volumes[Number(lun)]
        if (port?.alive !== true || volume === undefined)
          throw new BlockError('CONNECT_FAILED', `nothing answers at ${info.id}`)
        if (volume.id !== info.volume) throw new BlockError('IDENTITY_CHANGED', `${info.id} is ${volume.id} now`)
        return openPath(info, volume, port, owner)
      },
      async fence(token, { signal } = {}) {
        mustBeOpen()
        stopIf(signal)
        await fence(token)
      },
      close() {
        const own = ports.flatMap((port) => [...port.sessions]).filter((session) => session.owner === owner)
        owner.end ??= Promise.all(own.map(closeSession)).then(() => {})
        return owner.end
      },
    }
    owners.set(target, owner)
    return target
  }
  const target = createTarget()

  const find = (path: Path): Session => {
    const session = sessions.get(path)
    if (session === undefined) throw new TypeError('this path is not of this array')
    return session
  }

  return {
    target,
    kill(path) {
      const { port } = find(path)
      port.alive = false
      for (const session of port.sessions) loseSession(session, `${port.name} died`)
    },
    hang(path) {
      find(path).port.hangs = true
    },
    release(path) {
      const { port } = find(path)
      port.hangs = false
      port.change.tell()
      for (const command of port.held.splice(0)) run(command)
    },
    async second(path) {
      const { port, storage } = find(path)
      const other = ports.find((each) => each !== port && each.alive)!
      const lun = volumes.findIndex((volume) => volume.storage === storage)
      return target.connect(describe(lun, other))
    },
    setAccess: (path, access) => setAccess(find(path), access),
    prefer(path, on) {
      const session = find(path)
      session.preferred = on
      session.events.emit('access', session.access)
    },
    grow(path, size) {
      const { storage } = find(path)
      growStorage(storage, size)
      for (const session of ports.flatMap((port) => [...port.sessions])) {
        if (session.storage === storage) session.events.emit('limits', storage.limits)
      }
    },
    breakMedium(path, offset, length) {
      const { storage } = find(path)
      volumes.find((volume) => volume.storage === storage)!.broken.push({ offset, length })
    },
    killProcess(killed) {
      owners.get(killed)!.dead = true
    },
    heir: createTarget,
    exchange(info) {
      const lun = Number(info.lun)
      volumes[lun] = { ...volumes[lun]!, id: 'naa.6fffffffffffffffffffffffffffffff' }
    },
    addVolume() {
      addVolume()
      events.emit('changed', 'a volume was added')
    },
    storageOf: (path) => find(path).storage,
  }
}

function setAccess(session: Session, access: Access): void {
  if (session.access === access) return
  session.access = access
  session.events.emit('access', access)
}

function growStorage(storage: MinimalStorage, size: number): void {
  const grow = (old: Buffer): Buffer => Buffer.concat([old], size)
  storage.current = grow(storage.current)
  storage.durable = grow(storage.durable)
  storage.limits = { ...storage.limits, size }
}

function stopIf(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new BlockError('ABORTED', 'the signal has fired', { cause: signal.reason })
}

function copy({ op, flags, offset, length }: Io): Io {
  return { op, flags, offset, length, buffers: NO_BUFFERS, done() {}, owner: null, source: null, whole: null }
}
