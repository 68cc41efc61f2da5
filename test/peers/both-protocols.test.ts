// One volume over iSCSI and over NVMe/TCP is one device: a write moves only after the fence of the protocol that it was sent by.
import { setTimeout as sleep } from 'node:timers/promises'
import type { PathStatus } from '@blockbraid/core'
import { createRandom, randomInt } from '@blockbraid/testkit'
import { describe, expect, it } from 'vitest'
import type { TwoProtocolsBed, TwoProtocolsOptions } from './support/two-protocols-bed.ts'
import { ONE, openTwoProtocols, preferring, TWO } from './support/two-protocols-bed.ts'

const patient = { timeout: 20_000, interval: 5 }
const SIZE = 64 * 1024
const OLD = 1
const NEW = 2
const NVME_WRITE = 0x01
const SCSI_WRITES = [0x2a, 0x8a]

const pathOf = ({ pair }: TwoProtocolsBed, protocol: string): PathStatus =>
  pair.paths.find(({ id }) => id.startsWith(protocol))!

const firstOf = ({ stored }: TwoProtocolsBed): number => stored(0, 1)[0]!

const nvmeWrites = ({ nvme }: TwoProtocolsBed): number => nvme.counters.commands[NVME_WRITE] ?? 0
const iscsiWrites = ({ iscsi }: TwoProtocolsBed): number =>
  SCSI_WRITES.reduce((sum, opcode) => sum + (iscsi.counters.commands[opcode] ?? 0), 0)

/** A write that is on its way by one protocol while its path is lost. */
interface Held {
  /** The path can be fenced from now on. */
  allowFence(): void
  /** The array gets, or executes, what it has of it. */
  letGo(): void
}

/** Bytes of the write wait before the portal; logins are refused, and there is no other fence. */
async function holdIscsi(bed: TwoProtocolsBed): Promise<Held> {
  const session = bed.iscsi.sessions.find(({ discovery }) => !discovery)!
  session.blackhole(true)
  const refuse = bed.iscsi.faults.login({ action: 'refuse', status: 0x0301 })
  return { allowFence: () => refuse.remove(), letGo: () => session.blackhole(false) }
}

/** The array holds the write; nothing fences its controller but time. */
async function holdNvme(bed: TwoProtocolsBed): Promise<Held> {
  const hold = bed.nvme.faults.command({ opcode: NVME_WRITE, holds: true })
  void (async () => {
    await expect.poll(() => hold.held, patient).toBeGreaterThan(0)
    for (const controller of bed.nvme.controllers) controller.reset()
  })()
  return { allowFence: () => {}, letGo: () => hold.release() }
}

const settled = (one: Promise<unknown>): Promise<boolean> =>
  Promise.race([one.then(() => true), sleep(0).then(() => false)])

/** What stands after a write by `protocol` was held, its path lost, the data written again and overwritten by the other. */
async function lateWrite(protocol: 'iscsi' | 'nvme', options: TwoProtocolsOptions): Promise<number> {
  const isIscsi = protocol === 'iscsi'
  await using bed = await openTwoProtocols({
    selector: () => preferring(`${protocol}`),
    ...options,
    nvme: { crossResets: 0, ...options.nvme },
  })
  const { user } = bed.pair
  await user.write(0, Buffer.alloc(SIZE))
  const others = isIscsi ? nvmeWrites : iscsiWrites
  expect(others(bed)).toBe(0)
  const held = await (isIscsi ? holdIscsi(bed) : holdNvme(bed))
  const old = user.write(0, Buffer.alloc(SIZE, OLD))
  await expect.poll(() => pathOf(bed, protocol).state, patient).toBe('fencing')
  // Reads move at once.
  await user.read(SIZE, SIZE)
  expect(pathOf(bed, protocol).state).toBe('fencing')
  if (isIscsi) {
    await sleep(500)
    expect(await settled(old)).toBe(false)
  }
  expect(others(bed)).toBe(0)
  held.allowFence()
  await old
  if (!isIscsi) expect(bed.nvme.counters.expirations).toBeGreaterThan(0)
  expect(others(bed)).toBeGreaterThan(0)
  await user.write(0, Buffer.alloc(SIZE, NEW))
  expect(firstOf(bed)).toBe(NEW)
  held.letGo()
  await sleep(100)
  return firstOf(bed)
}

const joins: [string, TwoProtocolsOptions['identities']][] = [
  ['one identity on both sides', ONE],
  ['a mapping in the config', TWO],
]

describe.each(joins)('one device by %s', (_name, identities) => {
  it('a write that iSCSI has lost moves to NVMe only after its fence, and what comes late changes nothing', async () => {
    expect(await lateWrite('iscsi', { identities })).toBe(NEW)
  })

  it('a write that NVMe has lost moves to iSCSI only after its fence, and what comes late changes nothing', async () => {
    expect(await lateWrite('nvme', { identities })).toBe(NEW)
  })
})

describe('the tests above can fail', () => {
  it('where a login does not end the session before it', async () => {
    expect(await lateWrite('iscsi', { identities: ONE, iscsi: { reinstate: false } })).toBe(OLD)
  })

  it('where a controller goes on that has missed its host', async () => {
    expect(await lateWrite('nvme', { identities: ONE, nvme: { fences: { keepAlive: false } } })).toBe(OLD)
  })
})

// Each writer has blocks of its own, and writes them in turn; what it reads is what it has written last.
const WRITERS = 4
const BLOCK = 4096
const SECONDS = 6

it('connections of both protocols die again and again under load, and every byte is right', async () => {
  await using bed = await openTwoProtocols({ identities: TWO })
  const { user } = bed.pair
  const random = createRandom(20261126)
  let over = false
  let writes = 0
  const writer = async (number: number): Promise<void> => {
    const at = number * 16 * BLOCK
    const data = Buffer.alloc(BLOCK * 16)
    for (let generation = 1; !over; generation++) {
      for (let word = 0; word < data.length; word += 4) data.writeUInt32LE(generation * WRITERS + number, word)
      await user.write(at, data)
      writes++
      if (generation % 4 === 0) expect(data.equals(await user.read(at, data.length))).toBe(true)
      if (generation % 16 === 0) await user.flush()
    }
    expect(bed.stored(at, data.length).equals(data)).toBe(true)
  }
  const mishaps: (() => void)[] = [
    () => bed.nvme.controllers[0]?.reset(),
    () => bed.nvme.controllers.find(({ queues }) => queues.includes(1))?.reset(1),
    () => bed.nvme.controllers.find(({ connected }) => connected)?.cut(0),
    () => bed.nvme.ports[0]!.cut(),
    () => bed.iscsi.portals[0]!.cut(),
    () => bed.iscsi.portals[0]!.reset(),
  ]
  const trouble = async (): Promise<void> => {
    for (const end = Date.now() + SECONDS * 1000; Date.now() < end; ) {
      await sleep(randomInt(random, 300))
      mishaps[randomInt(random, mishaps.length)]!()
    }
    over = true
  }
  await Promise.all([trouble(), ...Array.from({ length: WRITERS }, (_, number) => writer(number))])
  expect(writes).toBeGreaterThan(WRITERS)
  expect(nvmeWrites(bed)).toBeGreaterThan(0)
  expect(iscsiWrites(bed)).toBeGreaterThan(0)
  expect([...bed.iscsi.violations, ...bed.nvme.violations]).toEqual([])
})
