import type { BlockDevice, Clock, SignalOptions } from '@blockbraid/core'
import { BlockError, delay, throwIfAborted } from '@blockbraid/core'
import { characterNode } from './driver.ts'
import type { Ends } from './ends.ts'
import { codeOf, ringFailure } from './errors.ts'
import { Flag } from './protocol.ts'
import { Queue } from './queue.ts'
import type { DeviceInfo } from './structs.ts'
import type { RingKeeper, UblkSystem } from './system.ts'

/** Milliseconds that the character device may take to appear, and its last user to let go of it. */
const OPEN_LIMIT = 10_000

/** All queues of a device, and its character device. */
export interface Server {
  readonly inflight: number
  started(): void
  refuse(): void
  hold(): void
  abandon(): void
  idle(): Promise<void>
  close(live?: boolean): void
}

/** Opens the character device of `info` and fetches on all of its queues. */
export async function serve(
  device: BlockDevice,
  info: DeviceInfo,
  legacy: boolean,
  onAborted: (errno: number) => void,
  { system, clock, ends, signal }: { system: UblkSystem; clock: Clock; ends?: Ends | undefined } & SignalOptions,
): Promise<Server> {
  const fd = await openWhenThere(characterNode(info.id), info, system, clock, signal)
  const queues: Queue[] = []
  let keeper: RingKeeper | undefined
  let aborted = false
  const once = (errno: number): void => {
    if (aborted) return
    aborted = true
    onAborted(errno)
  }
  const server: Server = {
    get inflight() {
      return queues.reduce((sum, queue) => sum + queue.inflight, 0)
    },
    started() {
      for (const queue of queues) queue.started()
    },
    refuse() {
      for (const queue of queues) queue.refuse()
    },
    hold() {
      for (const queue of queues) queue.hold()
    },
    abandon() {
      for (const queue of queues) queue.abandon()
    },
    idle: async () => void (await Promise.all(queues.map((queue) => queue.idle()))),
    close(live) {
      keeper?.release(live === true ? 'later' : 'now')
      for (const queue of queues) queue.close(live)
      system.close(fd)
    },
  }
  try {
    for (let number = 0; number < info.queues; number++) {
      const { depth, maxIoBytes: bufferBytes } = info
      queues.push(new Queue({ device, fd, number, depth, bufferBytes, legacy, onAborted: once, ends }, system))
    }
    // Drivers before 6.16 can bring the kernel down when a process is killed in the middle of its requests: its ring
    // then ends before what the driver has queued for its thread. As long as another process holds it, it does not.
    if ((info.flags & Flag.Quiesce) === 0) keeper = system.keepRings(queues.map(({ ringFd }) => ringFd))
  } catch (error) {
    server.close()
    throw ringFailure(error, system)
  }
  return server
}

// devtmpfs shows it a moment after the driver has made it; udev gives it to its owner after that.
async function openWhenThere(
  path: string,
  { flags }: DeviceInfo,
  system: UblkSystem,
  clock: Clock,
  signal: AbortSignal | undefined,
): Promise<number> {
  const passing = ['ENOENT', 'ENXIO', 'EBUSY']
  if ((flags & Flag.UnprivilegedDevice) !== 0) passing.push('EACCES')
  for (let waited = 0; ; waited += 10) {
    throwIfAborted(signal)
    try {
      return system.open(path)
    } catch (error) {
      const code = codeOf(error)
      if (!passing.includes(code) || waited >= OPEN_LIMIT) throw openError(path, code, error)
    }
    await delay(clock, 10, signal)
  }
}

function openError(path: string, code: string, cause: unknown): BlockError {
  if (code === 'ENOENT') {
    return new BlockError('NOT_FOUND', `ublk: ${path} did not appear: is /dev a devtmpfs, or does udev run?`, { cause })
  }
  if (code === 'EBUSY') return new BlockError('IN_USE', `ublk: ${path} is held by another process`, { cause })
  if (code === 'EACCES' || code === 'EPERM') {
    const text = `ublk: ${path} cannot be opened (${code}): a rule of udev must give it to this user, and its block device too; it stays until root unloads the driver`
    return new BlockError('DENIED', text, { cause })
  }
  return new BlockError('IO_FAILED', `ublk: ${path} cannot be opened (${code})`, { cause })
}
