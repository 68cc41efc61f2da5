import { isIPv6 } from 'node:net'
import { put16le, put64le } from '@blockbraid/wire'
import { DISCOVERY_NQN } from '../nvme/opcodes.ts'
import type { ControllerHost } from './host.ts'

const RECORD = 1024
const TCP = 3
const REFERRAL = 1
const SUBSYSTEM = 2
const CURRENT = 3
/** TREQ: SQ flow control may be disabled. */
const NO_FLOW_CONTROL = 4
/** TREQ: a secure channel is required; TSAS: it is TLS 1.3. */
const SECURED = 1
const TLS13 = 2
const DYNAMIC = 0xffff
/** EFLAGS: explicit persistent connections are kept. */
const PERSISTENT = 2

interface Entry {
  readonly subtype: number
  readonly port: number
  readonly nqn: string
  readonly host: string
  readonly service: string
}

/** The discovery log (NVMe Base 2.1 §5.1.12.3.1). */
export function discoveryLog({ generation, ports, referrals, settings }: ControllerHost): Buffer {
  const entries: Entry[] = []
  for (const { number, advertised, serves } of ports) {
    if (advertised === '') continue
    const place = placeOf(advertised)
    if (serves !== 'subsystem') entries.push({ subtype: CURRENT, port: number, nqn: DISCOVERY_NQN, ...place })
    if (serves !== 'discovery') entries.push({ subtype: SUBSYSTEM, port: number, nqn: settings.name, ...place })
  }
  for (const { host, port = 8009 } of referrals) {
    entries.push({ subtype: REFERRAL, port: 0, nqn: DISCOVERY_NQN, host, service: String(port) })
  }
  return encode(generation, entries, settings.tls !== undefined)
}

function placeOf(address: string): { host: string; service: string } {
  const colon = address.lastIndexOf(':')
  return { host: address.slice(0, colon).replace(/^\[|\]$/g, ''), service: address.slice(colon + 1) }
}

function encode(generation: number, entries: readonly Entry[], tls: boolean): Buffer {
  const page = Buffer.alloc(RECORD * (1 + entries.length))
  put64le(page, 0, generation)
  put64le(page, 8, entries.length)
  for (const [number, { subtype, port, nqn, host, service }] of entries.entries()) {
    const at = RECORD * (1 + number)
    page[at] = TCP
    page[at + 1] = isIPv6(host) ? 2 : 1
    page[at + 2] = subtype
    page[at + 3] = NO_FLOW_CONTROL | (tls ? SECURED : 0)
    put16le(page, at + 4, port)
    put16le(page, at + 6, DYNAMIC)
    put16le(page, at + 8, 32)
    put16le(page, at + 10, PERSISTENT)
    page.fill(0x20, at + 32, at + 64)
    page.write(service, at + 32, 'latin1')
    page.write(nqn, at + 256, 'latin1')
    page.fill(0x20, at + 512, at + 768)
    page.write(host, at + 512, 'latin1')
    if (tls) page[at + 768] = TLS13
  }
  return page
}
