import type { FoundTarget, ToldAddress } from '@blockbraid/wire'
import type { DiscoveryLog } from '../controller/discovery.ts'
import type { DiscoveryRecord } from '../nvme/discovery-log.ts'
import { SubsystemType, TransportType } from '../nvme/discovery-log.ts'
import { isQualifiedName } from '../options/check.ts'
import { DISCOVERY_PORT, NVME_PORT, parsePortal } from '../place/portal.ts'

/** What a discovery log says that can be used here. */
export interface ReadLog {
  readonly found: readonly FoundTarget[]
  /** Other discovery controllers that it refers to. */
  readonly referrals: readonly ToldAddress[]
  /** Records that could not be used, in words. */
  readonly odd: readonly string[]
}

/** Sorts the records of a log; those of other transports are passed over (NVMe Base 2.1 §5.1.12.3.1). */
export function readLog({ records }: Pick<DiscoveryLog, 'records'>): ReadLog {
  const subsystems = new Map<string, ToldAddress[]>()
  const referrals: ToldAddress[] = []
  const odd: string[] = []
  for (const record of records) {
    if (record.transport !== TransportType.Tcp) continue
    if (record.type === SubsystemType.Referral) {
      const address = addressOf(record, DISCOVERY_PORT)
      if (address === undefined) odd.push(`a referral to ${shown(record)}`)
      else referrals.push(address)
    } else if (record.type === SubsystemType.Nvm) {
      const address = addressOf(record, NVME_PORT)
      if (address === undefined || !isQualifiedName(record.subNqn)) {
        odd.push(`subsystem ${JSON.stringify(record.subNqn)} at ${shown(record)}`)
        continue
      }
      const known = subsystems.get(record.subNqn)
      if (known === undefined) subsystems.set(record.subNqn, [address])
      else known.push(address)
    }
  }
  const found = [...subsystems].map(([name, portals]) => ({ name, portals, elsewhere: true }))
  return { found, referrals, odd }
}

function addressOf({ address, service }: DiscoveryRecord, defaultPort: number): ToldAddress | undefined {
  const host = address.includes(':') ? `[${address}]` : address
  const portal = parsePortal(service === '' ? host : `${host}:${service}`, defaultPort)
  return portal === undefined ? undefined : { host: portal.host, port: portal.port, tag: undefined }
}

function shown({ address, service }: DiscoveryRecord): string {
  return JSON.stringify(`${address} ${service}`.slice(0, 80))
}
