import type { SignalOptions } from '@blockbraid/core'
import { BlockError, delay, systemHost } from '@blockbraid/core'
import { portalOf } from '../place/portal.ts'

/** A discovery controller that multicast DNS tells of. */
export interface AdvertisedController {
  /** Name of the service, for people. */
  readonly name: string
  /** `host:port` each: its addresses. */
  readonly portals: readonly string[]
}

/** Options of {@link advertised}. */
export interface AdvertisedOptions extends SignalOptions {
  /** How long answers are waited for, milliseconds. @defaultValue 2000 */
  wait?: number
  /** Address of the interface to ask on. @defaultValue the system's choice */
  interface?: string
}

// Whoever is on the link can answer: so many are enough, and of each so many addresses.
const MOST = 256
const MOST_ADDRESSES = 16
// DNS-SD name of the NVMe discovery service (NVMe Base 2.1 §8.3.1, automated discovery).
const SERVICE = 'nvme-disc'

/**
 * Asks multicast DNS for discovery controllers over TCP (`_nvme-disc._tcp`). Nothing is connected: anybody on the link may
 * answer, so what is found is for people to choose from. Needs the package `bonjour-service`; rejects with NOT_SUPPORTED
 * where it is not installed, with CONNECT_FAILED where nobody can be asked.
 */
export async function advertised(options: AdvertisedOptions = {}): Promise<readonly AdvertisedController[]> {
  const { signal, wait = 2000 } = options
  signal?.throwIfAborted()
  const Bonjour = await load()
  const found = new Map<string, AdvertisedController>()
  let failure: Error | undefined
  const bonjour = new Bonjour(
    // Its types do not tell what it hands on to multicast-dns.
    (options.interface === undefined ? {} : { interface: options.interface, bind: '0.0.0.0' }) as object,
    (error: Error) => {
      failure = error
    },
  )
  const browser = bonjour.find({ type: SERVICE }, ({ name, port, host, addresses = [], txt }) => {
    const { p } = (txt ?? {}) as { readonly p?: unknown }
    if ((p !== undefined && p !== 'tcp') || !isPort(port) || found.size >= MOST) return
    const hosts = addresses.length > 0 ? addresses.slice(0, MOST_ADDRESSES) : [host.replace(/\.$/, '')]
    found.set(name, { name, portals: hosts.map((one) => portalOf(one, port).address) })
  })
  try {
    await delay(systemHost.clock, wait, signal)
  } finally {
    browser.stop()
    bonjour.destroy()
  }
  signal?.throwIfAborted()
  if (failure !== undefined && found.size === 0) {
    throw new BlockError('CONNECT_FAILED', `multicast DNS cannot be asked: ${failure.message}`, { cause: failure })
  }
  return [...found.values()]
}

async function load(): Promise<typeof import('bonjour-service').Bonjour> {
  try {
    return (await import('bonjour-service')).Bonjour
  } catch (cause) {
    const text = 'to be found by multicast DNS, discovery controllers need the package bonjour-service: npm install it'
    throw new BlockError('NOT_SUPPORTED', text, { cause })
  }
}

function isPort(port: unknown): port is number {
  return Number.isInteger(port) && (port as number) > 0 && (port as number) <= 0xffff
}
