import { channel } from 'node:diagnostics_channel'
import type { TlsOptions } from 'node:tls'
import { createSecureContext } from 'node:tls'
import type { BlockDevice, Host, SignalOptions } from '@blockbraid/core'
import { BlockError, messageOf, systemHost } from '@blockbraid/core'
import type { DetachableWire, WireListener } from '@blockbraid/wire'
import { InputPool, InputWindow, OutboxPool, Wakeful } from '@blockbraid/wire'
import type { ConnectionContext, ConnectionTls } from './connection.ts'
import { Connection } from './connection.ts'
import type { NbdExportStats } from './export.ts'
import { Export } from './export.ts'
import { openListener } from './listener.ts'
import type { NbdOptions, NbdTlsOptions, ServerSettings } from './options.ts'
import { checkOptions } from './options.ts'
import { MAX_PAYLOAD, MAX_STRING } from './protocol.ts'
import { QUICK_CLIENT } from './transmission/context.ts'
import { ServerMemory } from './transmission/memory.ts'
import { RequestPool } from './transmission/request.ts'
import { exportUri } from './uri.ts'

/** How to add an export. */
export interface NbdExportOptions {
  /** What clients ask for; at most 4096 bytes of UTF-8 without NUL. */
  name: string
  /** Shown by clients that list exports; at most 4096 bytes. */
  description?: string
  /** Refuses writes, even where the device would take them. @defaultValue false */
  readOnly?: boolean
}

/** An export of an {@link NbdServer}. */
export interface NbdExport {
  /** What clients ask for. */
  readonly name: string
  /** Where clients find it: an NBD URI. */
  readonly uri: string
  /** Tells clients that connect from now on that the export has `size` bytes; NBD has no news for the others. */
  resize(size: number): void
  /** Ends it after what its clients have in flight, or at once when the signal fires. */
  remove(options?: SignalOptions): Promise<void>
  /** Counters since it was added. */
  stats(): NbdExportStats
}

/** Counters of a server. */
export interface NbdServerStats {
  /** Clients, those in the handshake included. */
  readonly connections: number
  /** Request objects in use; 0 when no client has anything in flight. */
  readonly requests: number
  /** Reply buffers of 256 KiB in use; 0 when every reply was taken. */
  readonly slabs: number
  /** Counters of each export. */
  readonly exports: readonly NbdExportStats[]
}

/** A listening NBD server. */
export interface NbdServer extends AsyncDisposable {
  /** TCP port; 0 on a unix socket. */
  readonly port: number
  /** Adds an export. Throws IN_USE where the name is taken, CLOSED after close. */
  add(device: BlockDevice, options: NbdExportOptions): NbdExport
  /** Counters as they are now. */
  stats(): NbdServerStats
  /** Removes every export and stops listening; at once when the signal fires. */
  close(options?: SignalOptions): Promise<void>
}

// Free objects kept for reuse by all connections of a server: at most about 1 MB, 4 MiB and 16 MiB.
const SPARE_REQUESTS = 4096
const SPARE_OUTPUTS = 16
const SPARE_INPUTS = 16

// Seconds: a client that vanished without a word is noticed within minutes.
const KEEP_ALIVE = 60

/** Bytes that all connections of a server may need together. */
function memoryOf({ maxInflightBytes }: ServerSettings): number {
  return 4 * Math.max(2 * MAX_PAYLOAD, maxInflightBytes)
}

/** Published once per connection: `{ reason }`, empty where the client left in good order. */
const closedChannel = channel('blockbraid.nbd.closed')

function connectionTls(tls: NbdTlsOptions | undefined): ConnectionTls {
  if (tls === undefined) return { mode: 'none', options: {} }
  const pem = (value: string | Uint8Array): string | Buffer => (typeof value === 'string' ? value : Buffer.from(value))
  const { cert, key, ca, requireClientCert = false, required = true } = tls
  const options: TlsOptions = {
    cert: pem(cert),
    key: pem(key),
    ...(ca === undefined ? {} : { ca: pem(ca) }),
    requestCert: requireClientCert,
    rejectUnauthorized: requireClientCert,
    minVersion: 'TLSv1.2',
  }
  try {
    createSecureContext(options)
  } catch (error) {
    throw new TypeError(`nbd: tls holds no usable certificate and key: ${messageOf(error)}`, { cause: error })
  }
  return { mode: required ? 'required' : 'optional', options }
}

function checkText(field: string, text: string): void {
  if (
    typeof text !== 'string' ||
    text.includes('\0') ||
    /\p{Surrogate}/u.test(text) ||
    Buffer.byteLength(text) > MAX_STRING
  ) {
    throw new TypeError(`nbd: ${field} is ${JSON.stringify(text)}; it must be at most ${MAX_STRING} bytes without NUL`)
  }
}

class Server implements NbdServer {
  readonly #settings: ServerSettings
  readonly #exports = new Map<string, Export>()
  /** Exports that are being removed and still have something in flight. */
  readonly #leaving = new Set<Export>()
  readonly #connections = new Set<Connection>()
  readonly #context: ConnectionContext
  #listener: WireListener | undefined
  /** Removes the socket file. */
  #release: () => Promise<void> = async () => {}
  #open = false
  #closing: Promise<void> | undefined

  constructor(settings: ServerSettings, host: Host) {
    this.#settings = settings
    this.#context = {
      host,
      requests: new RequestPool(SPARE_REQUESTS),
      inputs: new InputPool(SPARE_INPUTS),
      outputs: new OutboxPool(SPARE_OUTPUTS),
      wakeful: new Wakeful(host.clock, QUICK_CLIENT),
      maxRequests: settings.maxRequests,
      maxInflightBytes: settings.maxInflightBytes,
      memory: new ServerMemory(host.clock, memoryOf(settings), settings.maxConnections),
      handshakeTimeout: settings.handshakeTimeout,
      simpleReplies: settings.simpleReplies,
      tls: connectionTls(settings.tls),
      exports: this.#directory(),
      closed: (connection, reason) => {
        this.#connections.delete(connection)
        if (closedChannel.hasSubscribers) closedChannel.publish({ reason })
      },
    }
  }

  get port(): number {
    return this.#listener?.port ?? 0
  }

  async open(): Promise<void> {
    const { inputs, outputs, host } = this.#context
    const { listener, release } = await openListener(this.#settings, {
      clock: host.clock,
      inputs,
      outputs,
      window: new InputWindow(inputs),
      maxConnections: this.#settings.maxConnections,
      keepAlive: KEEP_ALIVE,
      accept: (wire) => this.#accept(wire),
    })
    this.#listener = listener
    this.#release = release
    this.#open = true
  }

  add(device: BlockDevice, options: NbdExportOptions): NbdExport {
    const { name, description = '' } = options
    checkText('name', name)
    checkText('description', description)
    if (this.#closing !== undefined) throw new BlockError('CLOSED', 'the NBD server is closed')
    if (this.#exports.has(name)) throw new BlockError('IN_USE', `an export named ${JSON.stringify(name)} exists`)
    const uri = exportUri(this.#settings, this.port, name)
    const target = new Export(device, name, description, this.#settings.readOnly || (options.readOnly ?? false))
    this.#exports.set(name, target)
    return {
      name,
      uri,
      resize: (size) => {
        const { blockSize } = device.limits
        if (!Number.isSafeInteger(size) || size < 0 || size % blockSize !== 0) {
          throw new TypeError(`nbd: size is ${size}; it must be a multiple of ${blockSize} below 2 ** 53`)
        }
        target.size = size
      },
      remove: (end) => this.#remove(target, end),
      stats: () => target.stats(),
    }
  }

  stats(): NbdServerStats {
    return {
      connections: this.#connections.size,
      requests: this.#context.requests.outstanding,
      slabs: this.#context.outputs.outstanding,
      exports: [...this.#exports.values()].map((target) => target.stats()),
    }
  }

  close(options: SignalOptions = {}): Promise<void> {
    const targets = [...this.#exports.values(), ...this.#leaving]
    this.#closing ??= this.#shut()
    // Also those whose removal waits, and in a second call: it may bring a signal that the first did not have.
    for (const target of targets) void this.#remove(target, options)
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #shut(): Promise<void> {
    const closed = this.#listener?.close()
    await this.#release()
    const targets = [...this.#exports.values(), ...this.#leaving]
    await Promise.all(targets.map((target) => this.#remove(target)))
    for (const connection of [...this.#connections]) connection.destroy('server closed')
    await closed
  }

  async #remove(target: Export, options?: SignalOptions): Promise<void> {
    if (this.#exports.get(target.name) === target) this.#exports.delete(target.name)
    this.#leaving.add(target)
    await target.remove(options)
    this.#leaving.delete(target)
  }

  #accept(wire: DetachableWire): void {
    // The socket file gets its mode only after it is there: whoever came before that is sent away.
    if (!this.#open || this.#closing !== undefined) {
      wire.destroy()
      return
    }
    this.#connections.add(new Connection(this.#context, wire))
  }

  #directory(): ConnectionContext['exports'] {
    const exports = this.#exports
    const isClosing = (): boolean => this.#closing !== undefined
    return {
      list: () => exports.values(),
      find(name) {
        const found = exports.get(name)
        if (found !== undefined || name !== '' || exports.size !== 1) return found
        return exports.values().next().value
      },
      get closing() {
        return isClosing()
      },
    }
  }
}

/**
 * Listens and serves the exports that are added to it. Throws TypeErrors for wrong options; rejects
 * with IN_USE, DENIED or NOT_FOUND where it cannot listen.
 */
export async function createNbdServer(options: NbdOptions, host: Host = systemHost): Promise<NbdServer> {
  const server = new Server(checkOptions(options), host)
  await server.open()
  return server
}
