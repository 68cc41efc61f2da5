import { createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { wrongOption } from '@blockbraid/wire'
import { isQualifiedName, qualifiedName } from './check.ts'

/** Who a host is to a subsystem: name and identifier belong together, and a subsystem refuses one with two partners. */
export interface HostIdentity {
  /** NVMe Qualified Name of the host. */
  readonly hostNqn: string
  /** Host identifier: a UUID in lower case. */
  readonly hostId: string
}

const PREFIX = 'nqn.2014-08.org.nvmexpress:uuid:'
/** What this program alone uses: a machine's id must not be told itself (machine-id(5)). */
const PURPOSE = 'io.blockbraid NVMe host identifier'
const MACHINE_FILES = ['/etc/machine-id', '/var/lib/dbus/machine-id']
const NQN_FILE = '/etc/nvme/hostnqn'
const ID_FILE = '/etc/nvme/hostid'
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
const NIL = '00000000-0000-0000-0000-000000000000'

type Read = (file: string) => string

/**
 * Who this host is where nothing is said of it: what the kernel's initiator is told in `/etc/nvme/hostnqn` and `hostid`,
 * else a UUID made of its machine id, so that no other host has it and a restart does not change it. Undefined where
 * there is none of these, as in many containers.
 */
export function machineHost(read: (file: string) => string = readText): HostIdentity | undefined {
  return configuredHost(read) ?? derivedHost(read)
}

/** The identity that a UUID makes, or the one that is made of another text: the name holds the identifier. */
export function hostOf(text: string): HostIdentity {
  const hostId = UUID.test(text) && text !== NIL ? text : uuidOf(text)
  return { hostNqn: `${PREFIX}${hostId}`, hostId }
}

/** Checks what the options say of this host, and finds the partner of what they leave out. */
export function hostIdentity(nqn: unknown, id: unknown, read: Read = readText): HostIdentity {
  const hostNqn = nqn === undefined ? undefined : qualifiedName('hostNqn', nqn)
  const hostId = id === undefined ? undefined : uuid('hostId', id)
  if (hostNqn !== undefined && hostId !== undefined) return { hostNqn, hostId }
  if (hostId !== undefined) return hostOf(hostId)
  const own = machineHost(read)
  if (hostNqn === undefined) return own ?? hostOf(hostname())
  if (own?.hostNqn === hostNqn) return own
  return { hostNqn, hostId: uuidIn(hostNqn) ?? uuidOf(hostNqn) }
}

/** As nvme-cli has it; a name without an identifier gets the one that it holds. */
function configuredHost(read: Read): HostIdentity | undefined {
  const nqn = firstLine(read(NQN_FILE))
  if (!isQualifiedName(nqn)) return undefined
  const id = firstLine(read(ID_FILE)).toLowerCase()
  const hostId = UUID.test(id) && id !== NIL ? id : uuidIn(nqn)
  return hostId === undefined ? undefined : { hostNqn: nqn, hostId }
}

function derivedHost(read: Read): HostIdentity | undefined {
  const id = MACHINE_FILES.map((file) => read(file).trim()).find(
    (text) => /^[0-9a-f]{32}$/.test(text) && /[^0]/.test(text),
  )
  return id === undefined ? undefined : hostOf(uuidOf(Buffer.from(id, 'hex')))
}

/** A UUID of version 8 that the same bytes always make (RFC 9562 §5.8). */
function uuidOf(key: string | Uint8Array): string {
  const bytes = createHmac('sha256', key).update(PURPOSE).digest().subarray(0, 16)
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x80
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80
  const hex = bytes.toString('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}

function uuidIn(nqn: string): string | undefined {
  const rest = nqn.startsWith(PREFIX) ? nqn.slice(PREFIX.length).toLowerCase() : ''
  return UUID.test(rest) && rest !== NIL ? rest : undefined
}

function uuid(field: string, value: unknown): string {
  const lower = typeof value === 'string' ? value.toLowerCase() : ''
  if (UUID.test(lower) && lower !== NIL) return lower
  throw wrongOption(field, value, 'a UUID such as 6b1d2c58-0b6e-4f0b-9d0e-1f5a7c9e2d34, not all of it 0')
}

function firstLine(text: string): string {
  return text.split('\n', 1)[0]?.trim() ?? ''
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
