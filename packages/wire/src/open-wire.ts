import { channel } from 'node:diagnostics_channel'
import { lookup } from 'node:dns/promises'
import type { SignalOptions } from '@blockbraid/core'
import { BlockError } from '@blockbraid/core'
import { closeFd, connectTcp, LinuxError, SocketStream, StreamEvent, socketError } from '@blockbraid/linux'
import type { Endpoint, WireShared } from './connection.ts'
import { Connection } from './connection.ts'
import type { DescriptorShared } from './descriptor-wire.ts'
import { DescriptorWire } from './descriptor-wire.ts'
import { errorWords } from './error-words.ts'
import { tellNoAddon } from './no-addon.ts'
import type { Wire } from './wire.ts'

/** What the wires that a target opens share. */
export type OpenShared = WireShared & Pick<DescriptorShared, 'window'>

/** Published before each try to connect: the {@link Endpoint}. */
const connectChannel = channel('blockbraid.wire.connect')

/**
 * Connects: one try, which is published on the diagnostics channel `blockbraid.wire.connect` with its endpoint. Rejects with CONNECT_FAILED, in words, or with the signal's reason. Where the addon of
 * `@blockbraid/linux` cannot be had, or a name has several addresses, the wire is over a socket of node:net.
 */
export async function openWire(endpoint: Endpoint, shared: OpenShared, options: SignalOptions = {}): Promise<Wire> {
  const { signal } = options
  signal?.throwIfAborted()
  if (connectChannel.hasSubscribers) connectChannel.publish(endpoint)
  const addresses = await unlessAborted(addressesOf(endpoint.host), signal)
  signal?.throwIfAborted()
  if (addresses.length === 1) {
    const wire = await openByDescriptor({ ...endpoint, host: addresses[0]!.address }, shared, signal)
    if (wire !== undefined) return wire
  }
  const connection = new Connection(endpoint, shared)
  await connection.opened(options)
  return connection
}

/** A resolver that does not answer cannot be stopped: it is waited for no longer. */
async function unlessAborted<Result>(work: Promise<Result>, signal: AbortSignal | undefined): Promise<Result> {
  if (signal === undefined) return work
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const onAbort = (): void => reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  try {
    return await Promise.race([work, aborted])
  } finally {
    signal.removeEventListener('abort', onAbort)
  }
}

async function addressesOf(host: string): Promise<readonly { readonly address: string }[]> {
  try {
    return await lookup(host, { all: true })
  } catch (error) {
    throw failed(error as Error)
  }
}

/** Undefined where there is no addon. */
async function openByDescriptor(
  { host, port, localAddress }: Endpoint,
  shared: OpenShared,
  signal: AbortSignal | undefined,
): Promise<Wire | undefined> {
  let fd: number
  try {
    fd = connectTcp(host, port, localAddress)
  } catch (error) {
    if (!LinuxError.is(error)) throw error
    if (error.code !== 'ERR_NO_ADDON') throw failed(error)
    tellNoAddon(error)
    return undefined
  }
  const errno = await outcome(fd, signal)
  if (errno === 0) return new DescriptorWire(fd, shared)
  closeFd(fd)
  throw failed(new LinuxError('connect', errno))
}

/** The errno that a descriptor's connecting ends with; rejects with the signal's reason, and has closed it then. */
function outcome(fd: number, signal: AbortSignal | undefined): Promise<number> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => {
      stream.close()
      reject(signal?.reason)
    }
    const stream = new SocketStream(fd, () => {
      signal?.removeEventListener('abort', onAbort)
      stream.release()
      resolve(socketError(fd))
    })
    signal?.addEventListener('abort', onAbort, { once: true })
    stream.poll(StreamEvent.Writable)
  })
}

function failed(cause: Error): BlockError {
  return new BlockError('CONNECT_FAILED', errorWords(cause), { cause })
}
