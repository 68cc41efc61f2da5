import { resolve } from 'node:path'
import { MAX_PAYLOAD, NBD_PORT } from './protocol.ts'

/** TLS of a server; PEM texts, as node:tls takes them. */
export interface NbdTlsOptions {
  /** Certificate chain of the server. */
  cert: string | Uint8Array
  /** Private key of the server. */
  key: string | Uint8Array
  /** Authorities that may sign clients' certificates; `requireClientCert` needs it. */
  ca?: string | Uint8Array
  /** Ends the session of a client without a certificate signed by `ca`. @defaultValue false */
  requireClientCert?: boolean
  /** Refuses everything but STARTTLS until TLS runs; false lets clients choose. @defaultValue true */
  required?: boolean
}

/** Where an NBD server listens and what it allows: `socket`, or `host` and `port`. */
export interface NbdOptions {
  /** Path of a unix socket, at most 107 bytes. */
  socket?: string
  /** Mode of the socket file. @defaultValue 0o600 */
  socketMode?: number
  /** Address to listen on. @defaultValue 127.0.0.1 */
  host?: string
  /** TCP port; 0 lets the system choose. @defaultValue 10809 */
  port?: number
  /** Certificate and key; with them clients must use TLS, unless `required` is false. */
  tls?: NbdTlsOptions
  /** Makes every export read-only. @defaultValue false */
  readOnly?: boolean
  /**
   * Refuses structured replies and extended headers, and with them block status. Clients then need fewer
   * system calls for each small read. @defaultValue false
   */
  simpleReplies?: boolean
  /** Connections at once; later ones are closed at once. @defaultValue 1024 */
  maxConnections?: number
  /** Requests in flight per connection; then it is not read. @defaultValue 128 */
  maxRequests?: number
  /**
   * Bytes per connection, of payloads in flight and of replies that the client has not taken; then it is
   * not read. A request begun below the limit is finished, so up to 32 MiB more are used. All connections of a server
   * together have four times as much, at least 256 MiB; what would need more waits.
   * @defaultValue 67108864
   */
  maxInflightBytes?: number
  /** Milliseconds from accept to the end of the handshake, TLS included. @defaultValue 10000 */
  handshakeTimeout?: number
}

/** {@link NbdOptions} with everything checked and filled in. */
export interface ServerSettings {
  readonly socket: string | undefined
  readonly socketMode: number
  readonly host: string
  readonly port: number
  readonly tls: NbdTlsOptions | undefined
  readonly readOnly: boolean
  readonly simpleReplies: boolean
  readonly maxConnections: number
  readonly maxRequests: number
  readonly maxInflightBytes: number
  readonly handshakeTimeout: number
}

/** sun_path of Linux holds 108 bytes with its NUL. */
const MAX_SOCKET_PATH = 107

/** The TypeError for an option. */
export function wrong(field: string, value: unknown, right: string): TypeError {
  const shown = typeof value === 'string' ? JSON.stringify(value) : String(value)
  return new TypeError(`nbd: ${field} is ${shown}; it must be ${right}`)
}

/** A whole number from `low` to `high`; `standard` where it is left out. */
export function integer(field: string, value: number | undefined, standard: number, low: number, high: number): number {
  if (value === undefined) return standard
  if (!Number.isInteger(value) || value < low || value > high) {
    throw wrong(field, value, `a whole number from ${low} to ${high}`)
  }
  return value
}

/** True or false; `standard` where it is left out. */
export function flag(field: string, value: boolean | undefined, standard: boolean): boolean {
  if (value === undefined) return standard
  if (typeof value !== 'boolean') throw wrong(field, value, 'true or false')
  return value
}

function pem(field: string, value: unknown): void {
  if (!(typeof value === 'string' && value !== '') && !(value instanceof Uint8Array && value.length > 0)) {
    throw wrong(field, typeof value === 'string' ? value : typeof value, 'a PEM text')
  }
}

function checkedTls(tls: NbdTlsOptions | undefined): NbdTlsOptions | undefined {
  if (tls === undefined) return undefined
  if (typeof tls !== 'object' || tls === null) throw wrong('tls', tls, 'an object with cert and key')
  pem('tls.cert', tls.cert)
  pem('tls.key', tls.key)
  if (tls.ca !== undefined) pem('tls.ca', tls.ca)
  const certificates = flag('tls.requireClientCert', tls.requireClientCert, false)
  if (!flag('tls.required', tls.required, true) && certificates) {
    throw wrong('tls.required', false, 'left out or true where requireClientCert is true')
  }
  // Node would take its own list of public authorities: whoever has any certificate of theirs would come in.
  if (certificates && tls.ca === undefined) {
    throw wrong('tls.ca', undefined, "the authority that signs clients' certificates where requireClientCert is true")
  }
  return tls
}

function checkedSocket(socket: string | undefined): string | undefined {
  if (socket === undefined) return undefined
  if (typeof socket !== 'string' || socket === '' || socket.includes('\0')) {
    throw wrong('socket', socket, `a path of 1 to ${MAX_SOCKET_PATH} bytes without NUL`)
  }
  // Clients have another working directory.
  const path = resolve(socket)
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH) {
    throw wrong('socket', path, `a path of 1 to ${MAX_SOCKET_PATH} bytes without NUL`)
  }
  return path
}

/** Checks options and fills in what is left out. Throws TypeErrors that name the field. */
export function checkOptions(options: NbdOptions): ServerSettings {
  if (typeof options !== 'object' || options === null) {
    throw wrong('options', options, 'an object with socket, or host and port')
  }
  const socket = checkedSocket(options.socket)
  if (socket !== undefined && (options.host !== undefined || options.port !== undefined)) {
    throw wrong('socket', socket, 'left out where host or port is given')
  }
  if (socket === undefined && options.host === undefined && options.port === undefined) {
    throw wrong('socket', socket, 'the path of a unix socket, unless host or port is given')
  }
  const host = options.host ?? '127.0.0.1'
  if (typeof host !== 'string' || host === '') throw wrong('host', host, 'an address or a host name')
  return {
    socket,
    socketMode: integer('socketMode', options.socketMode, 0o600, 0, 0o777),
    host,
    port: integer('port', options.port, NBD_PORT, 0, 65535),
    tls: checkedTls(options.tls),
    readOnly: flag('readOnly', options.readOnly, false),
    simpleReplies: flag('simpleReplies', options.simpleReplies, false),
    maxConnections: integer('maxConnections', options.maxConnections, 1024, 1, 1_000_000),
    maxRequests: integer('maxRequests', options.maxRequests, 128, 1, 65536),
    maxInflightBytes: integer('maxInflightBytes', options.maxInflightBytes, 2 * MAX_PAYLOAD, 1, 2 ** 40),
    handshakeTimeout: integer('handshakeTimeout', options.handshakeTimeout, 10_000, 1, 3_600_000),
  }
}
