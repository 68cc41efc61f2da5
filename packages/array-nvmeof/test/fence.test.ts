import { pattern } from '@blockbraid/testkit'
import { describe, expect, it } from 'vitest'
import type { NvmeArrayOptions, NvmeHold } from '../src/index.ts'
import type { Bed, Pair } from './beds.ts'
import { bed, ManualHost, until } from './beds.ts'
import type { RawHost } from './host.ts'

const OLD = pattern(4096, { seed: 1, offset: 0, generation: 1 })
const NEW = pattern(4096, { seed: 1, offset: 0, generation: 2 })

interface Held extends Bed {
  readonly old: Pair
  readonly sibling: Pair
  readonly hold: NvmeHold
  /** Writes newer data through the sibling, lets the old write go, and tells which of them stands. */
  newest(): Promise<'old' | 'new'>
}

/** A write that is held by a controller, and a second controller of the same host. */
async function heldWrite(options: Partial<NvmeArrayOptions> = {}, kato = 0, time?: ManualHost): Promise<Held> {
  const made = await bed({ ports: [{}, {}], ...options }, {}, time)
  const old = await made.pair({ kato })
  const sibling = await made.pair({ port: 1 })
  const hold = made.array.faults.command({ port: 0, opcode: 1, holds: true })
  old.io.beginWrite(1, 0, OLD)
  await until(() => hold.held === 1, 'the write is held')
  return {
    ...made,
    old,
    sibling,
    hold,
    async newest() {
      expect((await sibling.io.write(1, 0, NEW)).status).toBe(0)
      hold.release()
      // What is executed is done in a turn of the loop.
      await sibling.io.read(1, 0, 1)
      return NEW.equals(made.memory.array.peek(0, 0, 4096)) ? 'new' : 'old'
    },
  }
}

async function crossReset(
  host: RawHost,
  { id, instance, instanceRandom }: { id: number; instance: number; instanceRandom: string },
) {
  const random = BigInt(`0x${instanceRandom}`)
  const dwords = [id | (instance << 16), 0, Number(random & 0xffff_ffffn), Number(random >> 32n)]
  return host.command(0x38, { dwords })
}

describe('a write that is held', () => {
  it('is executed when it is let go', async () => {
    const { memory: target, hold, old } = await heldWrite()
    hold.release()
    await old.io.read(1, 0, 1)
    expect(OLD.equals(target.array.peek(0, 0, 4096))).toBe(true)
  })

  it('outlives its connections', async () => {
    const { old, newest } = await heldWrite({}, 60_000)
    old.io.close()
    old.admin.close()
    await until(() => true, 'closed')
    expect(await newest()).toBe('old')
  })

  it.each([true, false])('is never executed once its controller is disabled: %s', async (disable) => {
    const { array, old, newest } = await heldWrite({ fences: { disable } })
    await old.admin.disable()
    await old.io.gone()
    expect(await newest()).toBe(disable ? 'new' : 'old')
    expect(array.counters).toMatchObject({ disables: 1, dropped: disable ? 1 : 0 })
  })

  it('is never executed once its controller is shut down', async () => {
    const { old, newest } = await heldWrite()
    await old.admin.setProperty(0x14, 0x0046_4001)
    await old.admin.status((csts) => (csts & 0x0c) === 8)
    expect(await newest()).toBe('new')
  })

  it.each([true, false])('is never executed after a cross-controller reset: %s', async (crossResets) => {
    const { array, sibling, newest } = await heldWrite({ fences: { crossReset: crossResets } }, 60_000)
    const done = await crossReset(sibling.admin, array.controllers[0]!)
    expect([done.status, done.result]).toEqual([0, 1])
    expect(await newest()).toBe(crossResets ? 'new' : 'old')
    expect(array.controllers.length).toBe(1)
    const log = await sibling.admin.logPage(0x1e, 64, { specific: 1 })
    expect([log.data.readUInt16LE(0), log.data[8 + 6]]).toEqual([1, 1])
    expect((await sibling.admin.logPage(0x1e, 64)).data.readUInt16LE(0)).toBe(0)
  })

  it.each([true, false])('is never executed after the keep-alive timer has ended: %s', async (keepAlive) => {
    const time = new ManualHost()
    const { array, old, newest } = await heldWrite({ fences: { keepAlive } }, 100, time)
    time.advance(100)
    await old.admin.gone()
    await until(() => array.controllers.length === 1, 'the controller ends')
    expect(await newest()).toBe(keepAlive ? 'new' : 'old')
    expect(array.counters.expirations).toBe(1)
  })

  it("is aborted at the host's wish", async () => {
    const { old, hold } = await heldWrite()
    // Another CID is not found: nothing is aborted.
    expect((await old.admin.command(0x08, { dwords: [1 | (0xfff0 << 16)] })).result).toBe(1)
    const right = await old.admin.command(0x08, { dwords: [1 | (old.io.lastCid << 16)] })
    expect(right.result).toBe(0)
    expect((await old.io.finish(old.io.lastCid)).status).toBe(7)
    expect(hold.held).toBe(0)
  })
})

describe('a cross-controller reset', () => {
  it('is told by an event where it takes longer, or always', async () => {
    const { array, sibling } = await heldWrite({ crossResetTold: 'event' }, 60_000)
    const event = sibling.admin.command(0x0c)
    const begun = await crossReset(sibling.admin, array.controllers[0]!)
    expect([begun.status, begun.result]).toEqual([0, 0])
    expect((await event).result >>> 0).toBe(0x1e_f402)
  })

  it('names its victim by CIU and CIRN, which are those of this instance alone', async () => {
    const { array, sibling, old } = await heldWrite()
    const [victim] = array.controllers
    const before = { ...victim! }
    expect((await crossReset(sibling.admin, { ...before, instance: before.instance ^ 1 })).status).toBe(2)
    expect((await crossReset(sibling.admin, { ...before, id: 999 })).status).toBe(2)
    expect((await crossReset(old.admin, before)).status).toBe(2)
    victim!.renew()
    expect((await crossReset(sibling.admin, before)).status).toBe(2)
    expect((await crossReset(sibling.admin, array.controllers[0]!)).status).toBe(0)
    await old.admin.gone()
  })

  it('is refused to another host, and where there is none', async () => {
    const { array, pair } = await heldWrite()
    const other = await pair({ port: 1, hostId: '9'.repeat(32) })
    expect((await crossReset(other.admin, array.controllers[0]!)).status).toBe(2)
    const without = await heldWrite({ crossResets: 0 })
    expect((await crossReset(without.sibling.admin, without.array.controllers[0]!)).status).toBe(1)
  })
})

describe('the keep-alive timer', () => {
  it('is restarted by Keep Alive, and with TBKAS by any command', async () => {
    for (const trafficKeepAlive of [false, true]) {
      const time = new ManualHost()
      const { array, pair } = await bed({ trafficKeepAlive }, {}, time)
      const { admin, io } = await pair({ kato: 200 })
      for (let turn = 0; turn < 12; turn++) {
        time.advance(150)
        if (trafficKeepAlive) await io.read(1, 0, 1)
        else await admin.command(0x18)
      }
      expect(array.counters.expirations).toBe(0)
      admin.close()
      await until(() => array.controllers[0]?.connected === false, 'the connection ends')
      // Traffic in one interval lets the next one pass.
      time.advance(trafficKeepAlive ? 400 : 200)
      await until(() => array.controllers.length === 0, 'the controller ends')
      expect(array.counters.expirations).toBe(1)
    }
  })

  it('lets no controller live on where it is off, or the array does not linger', async () => {
    for (const [options, kato] of [
      [{}, 0],
      [{ lingers: false }, 60_000],
    ] as const) {
      const { array, admin } = await bed(options)
      const host = await admin({ kato })
      host.close()
      await until(() => array.controllers.length === 0, 'the controller ends')
      expect(array.counters.expirations).toBe(0)
    }
  })
})
