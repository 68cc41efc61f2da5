import type { Socket } from 'node:net'
import { isIP } from 'node:net'
import type { ConnectionOptions } from 'node:tls'
import type { SignalOptions } from '@blockbraid/core'
import { BlockError } from '@blockbraid/core'
import { NbdClient } from './client.ts'
import { dial } from './connection.ts'
import type { HandshakeOptions, NbdListing, Session } from './handshake.ts'
import { go, greet, list } from './handshake.ts'
import type { NbdAddress } from './uri.ts'
import { parseNbdUri } from './uri.ts'

/** Options of {@link connectNbd}. */
export interface NbdConnectOptions extends HandshakeOptions, SignalOptions {
  /** Options for `nbds` URIs, such as `ca`, `cert` and `key`. */
  tls?: ConnectionOptions
  /** Milliseconds until the handshake must be over; default 10 000. */
  timeout?: number
}

/** What a certificate is checked against; server name indication takes no addresses (RFC 6066 §3). */
function serverOf({ host = 'localhost' }: NbdAddress): ConnectionOptions {
  return isIP(host) === 0 ? { host, servername: host } : { host }
}

/** Runs a handshake that a time-out or a signal can end. */
async function inTime<T>(
  uri: string,
  options: NbdConnectOptions,
  work: (session: Session, address: NbdAddress) => Promise<T>,
): Promise<T> {
  const address = parseNbdUri(uri)
  const { timeout = 10_000, signal, tls, ...rest } = options
  if (signal?.aborted) throw new BlockError('ABORTED', `${uri}: the signal has fired`, { cause: signal.reason })
  let socket: Socket | undefined
  let abandoned = false
  let stop: (error: BlockError) => void = () => {}
  const stopped = new Promise<never>((_resolve, reject) => {
    stop = reject
  })
  const timer = setTimeout(() => stop(new BlockError('TIMED_OUT', `${uri}: no answer for ${timeout} ms`)), timeout)
  const abort = (): void => stop(new BlockError('ABORTED', `${uri}: the signal has fired`, { cause: signal?.reason }))
  signal?.addEventListener('abort', abort, { once: true })
  const shake = async (): Promise<T> => {
    const connection = await dial(address)
    socket = connection.socket
    if (abandoned) socket.destroy()
    const session = await greet(connection, {
      ...rest,
      tls: address.tls ? { ...serverOf(address), ...tls } : undefined,
    })
    return work(session, address)
  }
  const shaking = shake()
  try {
    return await Promise.race([shaking, stopped])
  } catch (error) {
    shaking.catch(() => {})
    abandoned = true
    socket?.destroy()
    throw error
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', abort)
  }
}

/**
 * Connects to an export: `nbd://host:port/name`, `nbd+unix:///name?socket=PATH`, or the same with `nbds`
 * for TLS. Rejects with CONNECT_FAILED, NOT_FOUND, DENIED, PROTOCOL, NOT_SUPPORTED, TIMED_OUT or ABORTED.
 */
export function connectNbd(uri: string, options: NbdConnectOptions = {}): Promise<NbdClient> {
  return inTime(uri, options, async (session, { name }) => {
    const found = await go(session, name, options)
    return new NbdClient(session.connection, found, session.reader.release())
  })
}

/** Lists the exports of the server in the URI, whatever export the URI names. */
export function listNbdExports(uri: string, options: NbdConnectOptions = {}): Promise<NbdListing[]> {
  return inTime(uri, options, async (session) => {
    const found = await list(session)
    session.reader.release()
    const { connection } = session
    connection.onBytes = () => {}
    connection.socket.on('error', () => {})
    connection.socket.end()
    connection.socket.resume()
    return found
  })
}
