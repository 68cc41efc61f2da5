import type { SignalOptions } from '@blockbraid/core'
import { BlockError } from '@blockbraid/core'
import type { Endpoint, Network, Wire } from '@blockbraid/wire'
import { get32, InputPool, InputWindow, OutboxPool, reachedFrom, systemNetwork } from '@blockbraid/wire'
import { parseTargetAddress } from '../login/address.ts'
import type { ChapAlgorithm } from '../login/chap.ts'
import { nextOffer } from '../login/chap.ts'
import type { LoginOptions } from '../login/login.ts'
import { Login } from '../login/login.ts'
import { Response } from '../pdu/opcode.ts'
import { DataMode, PduParser } from '../pdu/parser.ts'
import type { SessionOptions } from './session.ts'
import { Session } from './session.ts'
import { wireEnd } from './wire-end.ts'

/** Where to log in, and how. */
export interface OpenOptions extends SessionOptions {
  readonly endpoint: Endpoint
  /** @defaultValue that of this machine */
  readonly network?: Network
  readonly login: LoginOptions
  /** Milliseconds for connection and login, redirections included. */
  readonly loginTimeout: number
  /** Algorithms of CHAP to offer first, where others than those of the credentials are known to be taken. */
  readonly firstOffer?: readonly ChapAlgorithm[] | undefined
  /** Hears which algorithm the login has used, and out of which offer. */
  readonly usedChap?: (algorithm: ChapAlgorithm, offered: readonly ChapAlgorithm[]) => void
  /** Whether a redirection to that host is followed. @defaultValue each one is */
  readonly mayMoveTo?: (host: string) => boolean
}

const MAX_REDIRECTIONS = 4
// Login PDUs are no longer than this, whatever is declared (RFC 7143 §13.12).
const LOGIN_SEGMENT = 8192

// Views of received data keep a whole slab alive: a larger one holds more memory for a single view.
const inputs = new InputPool(4, 512 * 1024)
const window = new InputWindow(inputs)
const outputs = new OutboxPool(4)

/**
 * Connects and logs in: one try, which follows redirections (RFC 7143 §11.13.5). Rejects with
 * CONNECT_FAILED, TIMED_OUT, DENIED, NOT_FOUND, PROTOCOL or ABORTED; the message begins with the address.
 */
export async function openSession(options: OpenOptions, { signal }: SignalOptions = {}): Promise<Session> {
  const over = new AbortController()
  const abort = (): void => over.abort(new BlockError('ABORTED', 'the login was called off', { cause: signal?.reason }))
  if (signal?.aborted) abort()
  signal?.addEventListener('abort', abort)
  let at = addressOf(options.endpoint)
  const timer = options.clock.after(options.loginTimeout, () =>
    over.abort(new BlockError('TIMED_OUT', `no login within ${options.loginTimeout} ms`)),
  )
  try {
    let endpoint = options.endpoint
    for (let redirections = 0; ; redirections++) {
      const answer = await loginByOffers(options, endpoint, over.signal)
      if (answer instanceof Session) return answer
      const moved = parseTargetAddress(answer)
      if (moved === undefined) throw new BlockError('PROTOCOL', `a redirection to ${JSON.stringify(answer)}`)
      if (redirections === MAX_REDIRECTIONS) {
        throw new BlockError('CONNECT_FAILED', `redirected more than ${MAX_REDIRECTIONS} times`)
      }
      const host = reachedFrom(endpoint.host, moved.host)
      if (host === undefined || options.mayMoveTo?.(host) === false) {
        throw new BlockError('CONNECT_FAILED', `redirected to ${addressOf(moved)}, which is not to be used`)
      }
      endpoint = { ...endpoint, host, port: moved.port }
      at = `${addressOf(options.endpoint)}, redirected to ${addressOf(endpoint)}`
    }
  } catch (error) {
    if (!BlockError.is(error)) throw error
    throw new BlockError(error.code, `${at}: ${error.message}`, { cause: error.cause })
  } finally {
    timer.cancel()
    signal?.removeEventListener('abort', abort)
  }
}

/** `host:port`, an IPv6 host in brackets. */
export function addressOf({ host, port }: { readonly host: string; readonly port: number }): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** One login, and further ones with other algorithms as long as the target refuses those that were offered. */
async function loginByOffers(options: OpenOptions, endpoint: Endpoint, signal: AbortSignal): Promise<Session | string> {
  const { chap } = options.login
  if (chap === undefined) return loginOnce(options, new Login(options.login), endpoint, signal)
  const offers: (readonly ChapAlgorithm[])[] = []
  let mistaken: unknown
  for (let offer = options.firstOffer ?? chap.algorithms; ; ) {
    offers.push(offer)
    const login = new Login({ ...options.login, chap: { ...chap, algorithms: offer } })
    try {
      const answer = await loginOnce(options, login, endpoint, signal)
      if (login.chapAlgorithm !== undefined) options.usedChap?.(login.chapAlgorithm, offer)
      return answer
    } catch (error) {
      const next = refuses(error, login) ? nextOffer(offer, login.chapAlgorithm, chap) : undefined
      if (next !== undefined) {
        if (login.chapAlgorithm !== undefined) mistaken = error
        offer = next
      } else if (!login.choosesAlgorithm || !BlockError.is(error)) throw error
      // It knows that one, and not the others: then the credentials are wrong.
      else if (mistaken !== undefined) throw mistaken
      else throw new BlockError(error.code, `${error.message}${told(offers)}`, { cause: error.cause })
    }
  }
}

/** Whether the target has refused the algorithms, or the credentials after one of them. */
function refuses(error: unknown, login: Login): boolean {
  if (!BlockError.is(error)) return false
  if (login.choosesAlgorithm) return error.code === 'DENIED' || error.code === 'CONNECT_FAILED'
  return error.code === 'DENIED' && login.chapAlgorithm !== undefined
}

function told(offers: readonly (readonly ChapAlgorithm[])[]): string {
  return offers.length < 2 ? '' : `; offered were ${offers.map((offer) => offer.join(', ')).join(', then ')}`
}

/** Resolves to a session, or to the address that the target names instead. */
async function loginOnce(
  options: OpenOptions,
  login: Login,
  endpoint: Endpoint,
  signal: AbortSignal,
): Promise<Session | string> {
  signal.throwIfAborted()
  const { clock, network = systemNetwork } = options
  const connection = await network.open(endpoint, { clock, inputs, window, outputs }, { signal })
  try {
    return await exchange(options, login, connection, signal)
  } catch (error) {
    connection.destroy()
    throw error
  }
}

function exchange(
  options: OpenOptions,
  login: Login,
  connection: Wire,
  signal: AbortSignal,
): Promise<Session | string> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => fail(signal.reason)
    const settled = (): void => signal.removeEventListener('abort', onAbort)
    const fail = (error: unknown): void => {
      settled()
      parser.stop()
      connection.destroy()
      reject(error)
    }
    const lost = (error: BlockError): void =>
      fail(new BlockError('CONNECT_FAILED', `during login ${error.message}${login.hint}`, { cause: error.cause }))
    const take = (header: Buffer, data: Buffer): void => {
      const step = login.receive(header, data)
      if (step.kind === 'send') return connection.outbox.attach(step.pdu)
      settled()
      if (step.kind === 'moved') {
        parser.stop()
        connection.destroy()
        return resolve(step.address)
      }
      // At once: more may stand behind this answer in the same bytes.
      const session = new Session(connection, parser, step.result, options)
      parser.sink = session
      resolve(session)
    }
    const parser = new PduParser(
      {
        header: () => DataMode.Collect,
        data: () => {},
        end: () => {},
        whole(header, data) {
          const opcode = (header[0] as number) & 0x3f
          if (opcode !== Response.Login) {
            const what = opcode === Response.Reject ? 'a Reject' : `opcode 0x${opcode.toString(16)}`
            return fail(new BlockError('PROTOCOL', `${what} instead of a login answer, tag ${get32(header, 16)}`))
          }
          try {
            take(header, data)
          } catch (error) {
            fail(error)
          }
        },
        broken: (reason) => fail(new BlockError('PROTOCOL', `this is no iSCSI target: ${reason}`)),
      },
      LOGIN_SEGMENT,
    )
    connection.sink = {
      bytes: (chunk, start, end) => parser.push(chunk, start, end),
      finished: () => lost(wireEnd()),
      closed: (error) => lost(wireEnd(error)),
    }
    signal.addEventListener('abort', onAbort)
    if (signal.aborted) return onAbort()
    connection.outbox.attach(login.start())
  })
}
