import { addon } from './addon.ts'
import { needInteger, wrong } from './arguments.ts'
import type { NetlinkAttribute, ParsedAttribute } from './attributes.ts'
import { text } from './attributes.ts'
import { check, LinuxError } from './errors.ts'
import { encodeRequest, readAnswer } from './netlink-messages.ts'

/** An answer to a request. */
export interface NetlinkMessage {
  /** Number of it in its family. */
  readonly command: number
  /** What it carries, in order. */
  readonly attributes: ParsedAttribute[]
}

/** Options of a request. */
export interface NetlinkRequestOptions {
  /** Version of the family, default 1. */
  version?: number
  /** Milliseconds until the promise rejects with ETIMEDOUT, default 30000. The kernel may still carry it out. */
  timeout?: number
}

/** A socket of one generic netlink family. */
export interface GenericNetlink {
  /** Number of the family in this kernel. */
  readonly family: number
  /**
   * Sends a command, on the thread pool, and gives what came back before its acknowledgement. One after another.
   * Rejects with LinuxError: the kernel's, with its own words where it has some; ETIMEDOUT; ECANCELED after close.
   */
  request(
    command: number,
    attributes: readonly NetlinkAttribute[],
    options?: NetlinkRequestOptions,
  ): Promise<NetlinkMessage[]>
  /** What the kernel works on goes on; what waits rejects. Twice is fine. */
  close(): void
}

const GENL_ID_CTRL = 16
const CTRL_CMD_GETFAMILY = 3
const CTRL_ATTR_FAMILY_ID = 1
const CTRL_ATTR_FAMILY_NAME = 2

/** Opens a family by name. Rejects with LinuxError ENOENT where the kernel has none of that name. */
export async function openGenericNetlink(family: string): Promise<GenericNetlink> {
  if (typeof family !== 'string' || family.length === 0 || family.length > 15) {
    throw wrong('family', family, 'a name of 1 to 15 characters')
  }
  const socket = openSocket()
  try {
    const [answer] = await socket.request(GENL_ID_CTRL, CTRL_CMD_GETFAMILY, [text(CTRL_ATTR_FAMILY_NAME, family)], {})
    const id = answer?.attributes.find(({ type }) => type === CTRL_ATTR_FAMILY_ID)?.value.readUInt16LE(0)
    if (id === undefined) throw new LinuxError('netlink', 2)
    return {
      family: id,
      request: (command, attributes, options = {}) => socket.request(id, command, attributes, options),
      close: () => socket.close(),
    }
  } catch (error) {
    socket.close()
    if (!LinuxError.is(error) || error.code !== 'ENOENT') throw error
    throw new LinuxError('netlink', error.errno, {
      reason: `this kernel has no generic netlink family ${family}; is the module loaded?`,
    })
  }
}

interface Waiting {
  start(): Promise<void>
  reject(error: Error): void
}

interface NetlinkSocket {
  request(
    family: number,
    command: number,
    attributes: readonly NetlinkAttribute[],
    options: NetlinkRequestOptions,
  ): Promise<NetlinkMessage[]>
  close(): void
}

function openSocket(): NetlinkSocket {
  const native = addon()
  const handle = check('socket', native.netlinkOpen())
  const queue: Waiting[] = []
  let sequence = 0
  let busy = false
  let closed = false

  function next(): void {
    busy = false
    void queue.shift()?.start()
  }

  async function request(
    family: number,
    command: number,
    attributes: readonly NetlinkAttribute[],
    { version = 1, timeout = 30_000 }: NetlinkRequestOptions,
  ): Promise<NetlinkMessage[]> {
    needInteger('command', command, 0, 255)
    needInteger('version', version, 0, 255)
    needInteger('timeout', timeout, 1, 2 ** 31 - 1)
    sequence = (sequence + 1) >>> 0
    const message = encodeRequest(family, command, version, sequence, attributes)
    if (closed) throw canceled()
    const answer = await new Promise<Buffer>((resolve, reject) => {
      const waiting: Waiting = {
        async start() {
          busy = true
          try {
            resolve(check('netlink', await native.netlinkRequest(handle, message, timeout)))
          } catch (error) {
            reject(error)
          }
          clearTimeout(timer)
          next()
        },
        reject(error) {
          clearTimeout(timer)
          reject(error)
        },
      }
      const timer = setTimeout(() => {
        const at = queue.indexOf(waiting)
        if (at >= 0) queue.splice(at, 1)
        reject(new LinuxError('netlink', 110))
      }, timeout)
      if (busy) queue.push(waiting)
      else void waiting.start()
    })
    return readAnswer(answer)
  }

  return {
    request,
    close() {
      if (closed) return
      closed = true
      native.closeHandle(handle)
      for (const waiting of queue.splice(0)) waiting.reject(canceled())
    },
  }
}

function canceled(): LinuxError {
  return new LinuxError('netlink', 125, { reason: 'the netlink socket is closed' })
}
