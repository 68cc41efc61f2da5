import { describe, expect, it } from 'vitest'
import { hostIdentity, hostOf, machineHost } from '../../src/options/host-identity.ts'

const UUID = '6b1d2c58-0b6e-4f0b-9d0e-1f5a7c9e2d34'
const OTHER = '11111111-2222-4333-8444-555555555555'
const NQN = `nqn.2014-08.org.nvmexpress:uuid:${UUID}`
const files =
  (all: Record<string, string>) =>
  (file: string): string =>
    all[file] ?? ''
const machine = { '/etc/machine-id': 'b08dfa6083e7567a1921a715000001fb\n' }

describe('who this host is', () => {
  it('is what the kernel is told, name and identifier as they are', () => {
    const read = files({ ...machine, '/etc/nvme/hostnqn': `${NQN}\n`, '/etc/nvme/hostid': `${OTHER.toUpperCase()}\n` })
    expect(machineHost(read)).toEqual({ hostNqn: NQN, hostId: OTHER })
  })

  it('has the identifier that its name holds, where no file says another', () => {
    expect(machineHost(files({ '/etc/nvme/hostnqn': NQN }))).toEqual({ hostNqn: NQN, hostId: UUID })
  })

  it('is made of the machine id, always the same, and tells nothing of it', () => {
    const made = machineHost(files(machine))
    expect(made).toEqual(machineHost(files({ '/var/lib/dbus/machine-id': machine['/etc/machine-id'] })))
    expect(made?.hostNqn).toBe(`nqn.2014-08.org.nvmexpress:uuid:${made?.hostId}`)
    expect(made?.hostId).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    expect(made?.hostId.replaceAll('-', '')).not.toContain('b08dfa60')
    expect(machineHost(files({ '/etc/machine-id': '0'.repeat(32) }))).toBeUndefined()
  })

  it('is not made of a name in a file that is none', () => {
    expect(machineHost(files({ '/etc/nvme/hostnqn': 'uninitialized' }))).toBeUndefined()
    expect(machineHost(files({ '/etc/nvme/hostnqn': 'nqn.2014-08.io.example:host' }))).toBeUndefined()
  })

  it('is what a program has kept, where nothing else is known', () => {
    expect(hostOf(UUID)).toEqual({ hostNqn: NQN, hostId: UUID })
    expect(hostOf('kept')).toEqual(hostOf('kept'))
    expect(hostOf('kept').hostId).not.toBe(hostOf('other').hostId)
  })
})

describe('options of the host', () => {
  const read = files({ '/etc/nvme/hostnqn': NQN, '/etc/nvme/hostid': OTHER })

  it('are taken as they are when both are there', () => {
    const hostNqn = 'nqn.2026-11.io.example:host1'
    expect(hostIdentity(hostNqn, UUID.toUpperCase(), read)).toEqual({ hostNqn, hostId: UUID })
  })

  it('find the partner of a name: the file that belongs to it, else what the name holds, else always the same', () => {
    expect(hostIdentity(NQN, undefined, read)).toEqual({ hostNqn: NQN, hostId: OTHER })
    expect(hostIdentity(NQN, undefined, files({}))).toEqual({ hostNqn: NQN, hostId: UUID })
    const hostNqn = 'nqn.2026-11.io.example:host1'
    const made = hostIdentity(hostNqn, undefined, read)
    expect(made).toEqual(hostIdentity(hostNqn, undefined, files(machine)))
    expect(made.hostId).not.toBe(OTHER)
  })

  it('find the name of an identifier', () => {
    expect(hostIdentity(undefined, UUID, files({}))).toEqual({ hostNqn: NQN, hostId: UUID })
  })

  it('left out, with nothing on the machine, make it of its name', () => {
    expect(hostIdentity(undefined, undefined, files({})).hostNqn).toMatch(/^nqn\.2014-08\.org\.nvmexpress:uuid:/)
  })
})
