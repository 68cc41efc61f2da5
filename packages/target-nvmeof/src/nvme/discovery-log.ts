import { get16le, get64le } from '@blockbraid/wire'
import { hex64, need, printable } from './bytes.ts'

/** Bytes of the head of the discovery log, and of a record. */
export const DISCOVERY_HEAD = 1024
export const DISCOVERY_RECORD = 1024

/** The head of the discovery log (NVMe Base 2.1 §5.1.12.3.1). */
export interface DiscoveryHeader {
  /** Counts its changes (GENCTR); 16 hex digits. */
  readonly generation: string
  /** How many records there are; above 2 ** 53 it is rounded. */
  readonly records: number
  /** Format of the records; 0 is the one that is known. */
  readonly format: number
}

/** Transports of records (TRTYPE). */
export const TransportType = {
  /** RDMA. */
  Rdma: 1,
  /** Fibre Channel. */
  FibreChannel: 2,
  /** TCP. */
  Tcp: 3,
  /** Within the host. */
  Loop: 254,
} as const

/** What a record tells of (SUBTYPE). */
export const SubsystemType = {
  /** Another discovery service: a referral. */
  Referral: 1,
  /** A subsystem with namespaces. */
  Nvm: 2,
  /** The discovery subsystem that is asked. */
  Current: 3,
} as const

/** A record of the discovery log. */
export interface DiscoveryRecord {
  /** One of {@link TransportType}. */
  readonly transport: number
  /** Address family: 1 IPv4, 2 IPv6, 3 InfiniBand, 4 Fibre Channel, 254 within the host. */
  readonly family: number
  /** One of {@link SubsystemType}. */
  readonly type: number
  /** Number of the port within its subsystem. */
  readonly port: number
  /** CNTLID; FFFFh: any; FFFEh: any that is static. */
  readonly controller: number
  /** Entries of an admin queue at most. */
  readonly adminEntries: number
  /** Whether a secure channel is needed: 1 required, 2 not required; 0 it does not say (TREQ). */
  readonly secureChannel: number
  /** Of TCP: 0 none, 1 TLS 1.2, 2 TLS 1.3 (SECTYPE). */
  readonly security: number
  /** The same is told where every other record that has this flag leads (DUPRETINFO). */
  readonly duplicates: boolean
  /** Connections may be kept there (EPCSD). */
  readonly persistent: boolean
  /** NQN of the subsystem. */
  readonly subNqn: string
  /** Its address, trimmed. */
  readonly address: string
  /** Of TCP its port number, trimmed. */
  readonly service: string
}

/** Decodes the head of the discovery log. PROTOCOL when cut. */
export function decodeDiscoveryHeader(bytes: Uint8Array): DiscoveryHeader {
  need(bytes, 18, 'a discovery log')
  return { generation: hex64(bytes, 0), records: get64le(bytes, 8), format: get16le(bytes, 16) }
}

/** Decodes the records that came whole, from the first byte on. */
export function decodeDiscoveryRecords(bytes: Uint8Array): DiscoveryRecord[] {
  const records: DiscoveryRecord[] = []
  for (let at = 0; at + DISCOVERY_RECORD <= bytes.length; at += DISCOVERY_RECORD) {
    const flags = get16le(bytes, at + 10)
    records.push({
      transport: bytes[at]!,
      family: bytes[at + 1]!,
      type: bytes[at + 2]!,
      secureChannel: bytes[at + 3]! & 3,
      port: get16le(bytes, at + 4),
      controller: get16le(bytes, at + 6),
      adminEntries: get16le(bytes, at + 8),
      duplicates: (flags & 1) !== 0,
      persistent: (flags & 2) !== 0,
      service: printable(bytes.subarray(at + 32, at + 64)),
      subNqn: printable(bytes.subarray(at + 256, at + 512)),
      address: printable(bytes.subarray(at + 512, at + 768)),
      security: bytes[at + 768]!,
    })
  }
  return records
}
