import type { Socket } from 'node:net'
import type { BlockDevice, DeviceLimits, Extent, Io, SignalOptions } from '@blockbraid/core'
import { BlockError, Errno, IoFlag, IoOp, NO_BUFFERS } from '@blockbraid/core'
import type { Connection } from './connection.ts'
import type { NbdExport } from './handshake.ts'
import { limitsOf } from './limits.ts'
import { Command, CommandFlag, Flag } from './protocol.ts'
import { ReplyParser } from './reply-parser.ts'
import { NbdRequest } from './request.ts'
import { carve } from './slab.ts'
import { RequestWriter } from './writer.ts'

/** Options of requests that write. */
export interface NbdWriteOptions {
  /** Durable before the reply. */
  fua?: boolean
}

/** Options of {@link NbdClient.writeZeroes}. */
export interface NbdZeroOptions extends NbdWriteOptions {
  /** Keep the blocks allocated. */
  noHole?: boolean
  /** Fail at once with EOPNOTSUPP where it would be no faster than writing. */
  fastZero?: boolean
}

const MAX_LENGTH = 0xffff_ffff
const commands: readonly number[] = [Command.read, Command.write, Command.flush, Command.trim, Command.writeZeroes]

/**
 * A connection to an NBD export. It is a block device: `submit` with pooled Ios keeps any number of
 * requests going at little cost. The promises on top reject with a BlockError that has the errno.
 */
export class NbdClient implements BlockDevice, AsyncDisposable {
  /** What the server told of the export. */
  readonly export: NbdExport
  /** What the export can do, as a block device. */
  readonly limits: DeviceLimits
  /** Settles when the connection has ended: with nothing after `close` or `destroy`, else with the reason. */
  readonly ended: Promise<BlockError | undefined>
  /** Allocation of a range; only there when base:allocation was agreed on. */
  declare readonly extents?: (offset: number, length: number, options?: SignalOptions) => Promise<readonly Extent[]>

  readonly #socket: Socket
  readonly #writer: RequestWriter
  readonly #parser: ReplyParser
  readonly #slots: NbdRequest[] = []
  readonly #free: NbdRequest[] = []
  #inflight = 0
  #idle: () => void = () => {}
  #end: Promise<void> | undefined
  /** Set when no request can be sent any more: what it ends with. */
  #errno = 0
  #reason: BlockError | undefined
  readonly #maxLength: number

  /**
   * Takes over a connection in transmission, its socket paused, with `early` already read from it.
   * @internal use {@link connectNbd}
   */
  constructor(connection: Connection, found: NbdExport, early: Buffer) {
    const { socket } = connection
    this.export = found
    this.limits = limitsOf(found)
    this.#socket = socket
    this.#maxLength = found.replies === 'extended' ? Number.MAX_SAFE_INTEGER : MAX_LENGTH
    this.#writer = new RequestWriter(socket, found.replies === 'extended')
    const sink = {
      find: (slot: number, generation: number): NbdRequest | undefined => {
        const request = this.#slots[slot]
        return request?.busy === true && request.generation === generation ? request : undefined
      },
      ended: (request: NbdRequest): void => this.#finish(request, request.errno),
      broken: (reason: string): void => this.#lose(new BlockError('PROTOCOL', `NBD: ${reason}`)),
    }
    this.#parser = new ReplyParser(sink, found.replies !== 'simple', found.allocation)
    if (found.allocation !== undefined) {
      const extents: NbdClient['extents'] = (offset, length, { signal } = {}) =>
        signal?.aborted
          ? Promise.reject(new BlockError('ABORTED', 'extents: the signal has fired', { cause: signal.reason }))
          : this.blockStatus(offset, length)
      Object.defineProperty(this, 'extents', { value: extents })
    }
    this.ended = new Promise((resolve) => {
      socket.on('close', () => {
        this.#lose(new BlockError('CONNECT_FAILED', 'NBD: the server closed the connection'))
        resolve(this.#reason)
      })
    })
    socket.on('error', (cause) => this.#lose(new BlockError('CONNECT_FAILED', `NBD: ${cause.message}`, { cause })))
    connection.onBytes = (chunk) => this.#parser.push(chunk)
    if (early.length > 0) this.#parser.push(early)
    socket.resume()
  }

  /** Bytes of the export, its last part included when that is no whole block. */
  get size(): number {
    return this.export.size
  }

  /** Requests that have no reply. */
  get inflight(): number {
    return this.#inflight
  }

  /** Sends an Io; what is submitted in one turn goes out together. */
  submit(io: Io): void {
    const refused = this.#refusal(io)
    if (refused >= 0) return queueMicrotask(() => io.done(io, refused))
    if (io.op === IoOp.Read && io.buffers === NO_BUFFERS) io.buffers = [carve(io.length)]
    const command = commands[io.op]!
    const request = this.#take(command, io.offset, io.length)
    request.io = io
    if (command === Command.read) request.views = io.buffers
    this.#writer.send(request, wireFlags(io), command === Command.write ? io.buffers : undefined)
  }

  /** Reads `length` bytes, or into a view that is given. */
  async read(offset: number, into: number | Uint8Array): Promise<Buffer> {
    const data =
      typeof into === 'number' ? Buffer.allocUnsafe(into) : Buffer.from(into.buffer, into.byteOffset, into.length)
    await this.#run('read', Command.read, offset, data.length, 0, [data])
    return data
  }

  /** Writes `data`, which must not change until the promise settles. */
  write(offset: number, data: Uint8Array, { fua = false }: NbdWriteOptions = {}): Promise<void> {
    return this.#run('write', Command.write, offset, data.length, fua ? CommandFlag.fua : 0, [data])
  }

  /** Makes every write that has ended durable. */
  flush(): Promise<void> {
    return this.#run('flush', Command.flush, 0, 0, 0)
  }

  /** Gives blocks back. */
  trim(offset: number, length: number, { fua = false }: NbdWriteOptions = {}): Promise<void> {
    return this.#run('trim', Command.trim, offset, length, fua ? CommandFlag.fua : 0)
  }

  /** Zeroes a range. */
  writeZeroes(offset: number, length: number, options: NbdZeroOptions = {}): Promise<void> {
    const { fua = false, noHole = false, fastZero = false } = options
    const flags =
      (fua ? CommandFlag.fua : 0) | (noHole ? CommandFlag.noHole : 0) | (fastZero ? CommandFlag.fastZero : 0)
    return this.#run('write-zeroes', Command.writeZeroes, offset, length, flags)
  }

  /** Asks the server to have a range at hand. */
  cache(offset: number, length: number): Promise<void> {
    return this.#run('cache', Command.cache, offset, length, 0)
  }

  /** Extents from `offset` on: at least one, `one` for no more. The last may reach past `length`: it is cut. */
  async blockStatus(offset: number, length: number, { one = false } = {}): Promise<Extent[]> {
    if (this.export.allocation === undefined)
      throw new BlockError('NOT_SUPPORTED', 'NBD: base:allocation was not agreed on')
    const extents: Extent[] = []
    await this.#run('block status', Command.blockStatus, offset, length, one ? CommandFlag.one : 0, undefined, extents)
    if (extents.length === 0) throw new BlockError('PROTOCOL', 'NBD: a block status without extents')
    return cutTo(extents, length)
  }

  /** Waits for what is in flight and says good-bye; with a signal that fires, ends at once. */
  close({ signal }: SignalOptions = {}): Promise<void> {
    this.#end ??= this.#leave()
    if (signal?.aborted) this.destroy()
    else signal?.addEventListener('abort', () => this.destroy(), { once: true })
    return this.#end
  }

  /** Ends the connection at once; what is in flight ends with ESHUTDOWN. */
  destroy(): void {
    this.#fail(Errno.ESHUTDOWN)
    this.#socket.destroy()
  }

  /** The same as {@link close}. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #leave(): Promise<void> {
    this.#errno ||= Errno.ESHUTDOWN
    if (this.#inflight > 0) {
      await new Promise<void>((resolve) => {
        this.#idle = resolve
      })
    }
    if (!this.#socket.destroyed) {
      const goodbye = new NbdRequest(0)
      goodbye.begin(Command.disconnect, 0, 0)
      this.#writer.send(goodbye, 0)
      await Promise.resolve()
      this.#socket.destroySoon()
    }
    await this.ended
  }

  /** The errno with which an Io is refused before it is sent; 0 when it is done already, -1 when it is to be sent. */
  #refusal({ op, flags, length }: Io): number {
    if (this.#errno !== 0) return this.#errno
    if (length > this.#maxLength) return Errno.EOVERFLOW
    const { limits } = this
    if (op === IoOp.Flush) return limits.writeCache ? -1 : 0
    if (op === IoOp.Read) return -1
    if (limits.readOnly) return Errno.EPERM
    if (op === IoOp.Write) return -1
    if (!(op === IoOp.Trim ? limits.trim : limits.writeZeroes)) return Errno.EOPNOTSUPP
    const fast = (flags & IoFlag.FastZero) !== 0 && op === IoOp.WriteZeroes
    return fast && (this.export.flags & Flag.fastZero) === 0 ? Errno.EOPNOTSUPP : -1
  }

  #take(command: number, offset: number, length: number): NbdRequest {
    let request = this.#free.pop()
    if (request === undefined) {
      request = new NbdRequest(this.#slots.length)
      this.#slots.push(request)
    }
    request.begin(command, offset, length)
    this.#inflight++
    return request
  }

  #run(
    what: string,
    command: number,
    offset: number,
    length: number,
    flags: number,
    views: readonly Uint8Array[] = [],
    extents?: Extent[],
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const ended = (errno: number): void => {
        if (errno === 0) resolve()
        else reject(BlockError.fromStatus(`NBD ${what} of ${length} bytes at ${offset}`, errno))
      }
      if (this.#errno !== 0) return ended(this.#errno)
      if (length > this.#maxLength) return ended(Errno.EOVERFLOW)
      const request = this.#take(command, offset, length)
      request.ended = ended
      if (command === Command.read) request.views = views
      if (extents !== undefined) request.extents = extents
      this.#writer.send(request, flags, command === Command.write ? views : undefined)
    })
  }

  #finish(request: NbdRequest, errno: number): void {
    const { io, ended } = request
    request.busy = false
    request.io = null
    request.views = NO_BUFFERS
    this.#free.push(request)
    this.#inflight--
    if (io !== null) io.done(io, errno)
    else ended(errno)
    if (this.#inflight === 0) this.#idle()
  }

  /** Ends everything in flight, and whatever comes later. */
  #fail(errno: number): void {
    this.#errno ||= errno
    for (const request of this.#slots) {
      if (request.busy) this.#finish(request, this.#errno)
    }
  }

  #lose(reason: BlockError): void {
    if (this.#errno === 0) this.#reason = reason
    this.#fail(reason.errno)
    this.#socket.destroy()
  }
}

function wireFlags({ op, flags }: Io): number {
  if (flags === 0 || op === IoOp.Read || op === IoOp.Flush) return 0
  const zeroes = op === IoOp.WriteZeroes
  return (
    ((flags & IoFlag.Fua) !== 0 ? CommandFlag.fua : 0) |
    (zeroes && (flags & IoFlag.NoUnmap) !== 0 ? CommandFlag.noHole : 0) |
    (zeroes && (flags & IoFlag.FastZero) !== 0 ? CommandFlag.fastZero : 0)
  )
}

function cutTo(extents: readonly Extent[], length: number): Extent[] {
  const cut: Extent[] = []
  let left = length
  for (const extent of extents) {
    if (left <= 0) break
    cut.push({ ...extent, length: Math.min(left, extent.length) })
    left -= extent.length
  }
  return cut
}
