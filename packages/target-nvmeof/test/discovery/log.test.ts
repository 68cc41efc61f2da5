import { describe, expect, test } from 'vitest'
import { readLog } from '../../src/discovery/log.ts'
import type { DiscoveryRecord } from '../../src/nvme/discovery-log.ts'
import { SubsystemType, TransportType } from '../../src/nvme/discovery-log.ts'

const NQN = 'nqn.2026-11.io.example:array'

function record(fields: Partial<DiscoveryRecord>): DiscoveryRecord {
  return {
    transport: TransportType.Tcp,
    family: 1,
    type: SubsystemType.Nvm,
    port: 1,
    controller: 0xffff,
    adminEntries: 32,
    secureChannel: 0,
    security: 0,
    duplicates: false,
    persistent: true,
    subNqn: NQN,
    address: '192.0.2.1',
    service: '4420',
    ...fields,
  }
}

const at = (host: string, port: number) => ({ host, port, tag: undefined })

describe('a discovery log', () => {
  test('has one entry for a subsystem with all of its ports', () => {
    const { found } = readLog({ records: [record({}), record({ address: '2001:db8::1', family: 2, service: '4421' })] })
    expect(found).toEqual([{ name: NQN, portals: [at('192.0.2.1', 4420), at('2001:db8::1', 4421)], elsewhere: true }])
  })

  test('has the usual ports where it tells none', () => {
    const { found, referrals } = readLog({
      records: [record({ service: '' }), record({ type: SubsystemType.Referral, service: '' })],
    })
    expect(found[0]?.portals).toEqual([at('192.0.2.1', 4420)])
    expect(referrals).toEqual([at('192.0.2.1', 8009)])
  })

  test('with records of other transports, and of the controller itself: they are passed over without a word', () => {
    const records = [
      record({ transport: TransportType.Rdma }),
      record({ transport: TransportType.FibreChannel, address: 'nn-0x1:pn-0x2' }),
      record({ type: SubsystemType.Current }),
    ]
    expect(readLog({ records })).toEqual({ found: [], referrals: [], odd: [] })
  })

  test('with records that cannot be used: they cost themselves alone', () => {
    const records = [
      record({ service: '70000' }),
      record({ address: 'a b' }),
      record({ subNqn: 'nqn.2026-11.io.example/a' }),
      record({ subNqn: '' }),
      record({ type: SubsystemType.Referral, service: 'x' }),
      record({}),
    ]
    const { found, referrals, odd } = readLog({ records })
    expect(found).toHaveLength(1)
    expect(referrals).toEqual([])
    expect(odd).toHaveLength(5)
    expect(odd[0]).toBe(`subsystem "${NQN}" at "192.0.2.1 70000"`)
  })
})
