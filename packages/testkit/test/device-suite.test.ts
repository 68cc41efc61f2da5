import type { BlockDevice } from '@blockbraid/core'
import { describe, expect, it } from 'vitest'
import type { DeviceSuiteOptions } from '../src/index.ts'
import { createMinimalDevice, deviceMutants, deviceSuite, runMutants, virtualHost } from '../src/index.ts'
import type { MinimalStorage } from '../src/minimal/storage.ts'
import { afterPowerLoss, createMinimalStorage } from '../src/minimal/storage.ts'

function minimal(limits: Partial<MinimalStorage['limits']> = {}): DeviceSuiteOptions {
  const host = virtualHost(1)
  const storages = new WeakMap<BlockDevice, MinimalStorage>()
  const make = (storage: MinimalStorage): BlockDevice => {
    const device = createMinimalDevice(storage, host)
    storages.set(device, storage)
    return device
  }
  return {
    open: async () => {
      const storage = createMinimalStorage()
      return make({ ...storage, limits: { ...storage.limits, ...limits } })
    },
    has: { trim: true, writeZeroes: true, fua: true, writeCache: true, extents: true, crash: true },
    crash: async (device) => make(afterPowerLoss(storages.get(device)!)),
    clock: host.clock,
  }
}

const full = minimal()
const readOnly = minimal({ readOnly: true })
readOnly.has.readOnly = true
const bare = minimal({ trim: false, writeZeroes: false, fua: false, writeCache: false })
Object.assign(bare.has, { trim: false, writeZeroes: false, fua: false, writeCache: false })

describe('the minimal device', () => deviceSuite({ describe, it }, full))
describe('a minimal device that is read-only', () => deviceSuite({ describe, it }, readOnly))
describe('a minimal device without trim, zeroes, fua and cache', () => deviceSuite({ describe, it }, bare))

describe('mutants of the device suite', async () => {
  const runs = [full, readOnly, bare].map((options) => runMutants(deviceSuite, options, deviceMutants))
  const reports = await Promise.all(runs)
  it.each(deviceMutants)('catches a device that $name', ({ name }) => {
    const own = reports.flat().filter((report) => report.name === name)
    const seen = own.filter(({ outcome }) => outcome !== 'skipped')
    expect(seen.length, 'no device shows it').toBeGreaterThan(0)
    expect(
      seen.some(({ outcome }) => outcome === 'caught'),
      seen.flatMap(({ failures }) => failures).join('\n'),
    ).toBe(true)
  })
})
