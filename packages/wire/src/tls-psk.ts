import type { Socket } from 'node:net'
import { connect as connectPlain } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import type { ConnectionOptions, TLSSocket, TlsOptions } from 'node:tls'
import { connect, createServer } from 'node:tls'
import type { SignalOptions } from '@blockbraid/core'
import { BlockError } from '@blockbraid/core'
import type { Endpoint, WireShared } from './connection.ts'
import { Connection } from './connection.ts'
import { errorWords } from './error-words.ts'
import type { DetachableWire, Wire } from './wire.ts'

/** A pre-shared key of TLS (RFC 8446 §2.2), and the name that it goes by. */
export interface TlsPsk {
  /** Up to {@link LONGEST_IDENTITY} bytes: Node takes no more. */
  readonly identity: string
  /** {@link TLS_KEY_LENGTH} bytes. */
  readonly key: Uint8Array
}

/** Bytes of the longest identity of a {@link TlsPsk}. */
export const LONGEST_IDENTITY = 256
/** Bytes of the key of a {@link TlsPsk}: what SHA-256 gives. */
export const TLS_KEY_LENGTH = 32

// Node hands keys to OpenSSL by the call of TLS 1.2, which makes keys of SHA-256 of them, whatever their length; and left
// alone it offers other suites first.
const PINNED = {
  minVersion: 'TLSv1.3',
  maxVersion: 'TLSv1.3',
  ciphers: 'TLS_AES_128_GCM_SHA256',
} as const satisfies TlsOptions

/**
 * Connects with TLS 1.3 by a pre-shared key, TLS_AES_128_GCM_SHA256: one try. No certificate is taken for it. Rejects with
 * CONNECT_FAILED where there is no connection, DENIED where the other end does not take the key, or with the signal's reason.
 * It is read into memory of Node's.
 */
export async function openTlsWire(
  endpoint: Endpoint,
  psk: TlsPsk,
  shared: WireShared,
  options: SignalOptions = {},
): Promise<Wire> {
  checkPsk(psk)
  options.signal?.throwIfAborted()
  const { host, port, localAddress } = endpoint
  const plain = connectPlain({
    host,
    port,
    allowHalfOpen: true,
    ...(localAddress === undefined ? {} : { localAddress }),
  })
  plain.setNoDelay(true)
  await settled(plain, 'connect', options.signal, (error) => {
    return new BlockError('CONNECT_FAILED', error === undefined ? 'the connection was closed' : errorWords(error), {
      cause: error,
    })
  })
  const secure = connect({ ...PINNED, ...clientOf(psk), socket: plain })
  await settled(secure, 'secureConnect', options.signal, refused, plain)
  return wireOf(secure, plain, shared)
}

/**
 * Takes TLS 1.3 by a pre-shared key over a wire that was accepted and has brought nothing yet; `keyOf` gives the key of an
 * identity, of {@link TLS_KEY_LENGTH} bytes. Rejects with DENIED where no key fits, or with the signal's reason.
 */
export async function acceptTlsWire(
  wire: DetachableWire,
  keyOf: (identity: string) => Uint8Array | undefined,
  shared: WireShared,
  { signal }: SignalOptions = {},
): Promise<DetachableWire> {
  const plain = wire.detach()
  // A server of its own, which never listens.
  const server = createServer({ ...PINNED, pskCallback: (_, identity) => keyOf(identity) ?? null })
  const { promise, resolve, reject } = Promise.withResolvers<TLSSocket>()
  const onAbort = (): void => reject(signal?.reason)
  const onClose = (): void => reject(refused(undefined))
  server.on('secureConnection', resolve)
  server.on('tlsClientError', (error) => reject(refused(error)))
  plain.on('error', (error) => reject(refused(error)))
  plain.on('close', onClose)
  signal?.addEventListener('abort', onAbort)
  if (signal?.aborted) onAbort()
  else server.emit('connection', plain)
  try {
    return await wireOf(await promise, plain, shared)
  } catch (error) {
    plain.destroy()
    throw error
  } finally {
    signal?.removeEventListener('abort', onAbort)
  }
}

/** Throws a TypeError for a key or an identity that Node does not take; the key is not shown. */
function checkPsk({ identity, key }: TlsPsk): void {
  const length = Buffer.byteLength(identity)
  if (length === 0 || length > LONGEST_IDENTITY) {
    throw new TypeError(`psk.identity has ${length} bytes; Node takes 1 to ${LONGEST_IDENTITY}`)
  }
  if (key.length !== TLS_KEY_LENGTH)
    throw new TypeError(`psk.key has ${key.length} bytes; it must have ${TLS_KEY_LENGTH}`)
}

function clientOf({ identity, key }: TlsPsk): ConnectionOptions {
  return {
    pskCallback: () => ({ psk: key, identity }),
    // Called where the other end has shown a certificate instead: whose that is does not matter.
    checkServerIdentity: () => new Error('it does not use the key, and shows a certificate'),
  }
}

/** The wire, in a turn of its own: what ends a connection from inside of its handshake crashes Node. */
async function wireOf(secure: TLSSocket, plain: Socket, shared: WireShared): Promise<Connection> {
  await setImmediate()
  if (secure.destroyed || plain.destroyed) throw refused(undefined)
  return new Connection({ socket: secure, below: plain }, shared)
}

function settled(
  socket: Socket,
  event: string,
  signal: AbortSignal | undefined,
  failed: (error: Error | undefined) => BlockError,
  below = socket,
): Promise<void> {
  return new Promise((resolve, reject) => {
    let error: Error | undefined
    const onError = (given: Error): void => {
      error = given
    }
    const onClose = (): void => end(() => reject(failed(error)))
    const onDone = (): void => end(resolve)
    const onAbort = (): void => {
      end(() => reject(signal?.reason))
      below.destroy()
    }
    const end = (settle: () => void): void => {
      socket.off(event, onDone)
      socket.off('close', onClose)
      signal?.removeEventListener('abort', onAbort)
      settle()
    }
    // It stays: an error after the end is nobody's.
    socket.on('error', onError)
    socket.on('close', onClose)
    socket.on(event, onDone)
    signal?.addEventListener('abort', onAbort)
    if (signal?.aborted) onAbort()
  })
}

function refused(error: Error | undefined): BlockError {
  const told = error === undefined ? 'the connection was closed' : reasonOf(error)
  const text = `no TLS: ${told}; both ends need the same key under the same identity, and TLS_AES_128_GCM_SHA256`
  return new BlockError('DENIED', text, { cause: error })
}

/** What OpenSSL says, without its numbers. */
function reasonOf(error: Error): string {
  return 'reason' in error && typeof error.reason === 'string' ? error.reason : errorWords(error)
}
