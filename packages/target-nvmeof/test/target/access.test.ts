import type { Access, PathTrouble } from '@blockbraid/core'
import { Errno, isPathError, NOT_EXECUTED, OK, openMultipath, PATH_ERROR } from '@blockbraid/core'
import { describe, expect, test } from 'vitest'
import { bed, read, write } from './bed.ts'
import { afterwards, rig } from './rig.ts'

describe('the access state of a namespace', () => {
  test('is that of its group at its port, and changes are told', async () => {
    const { array, open } = await bed({ array: { ports: [{}, {}] } })
    array.setAccess({ port: 1 }, 'standby')
    const [one, other] = [await open(0), await open(1)]
    expect([one.access, other.access]).toEqual(['optimized', 'standby'])
    const told: Access[] = []
    one.events.on('access', (access) => told.push(access))
    for (const access of ['non-optimized', 'unavailable', 'optimized'] as const) {
      array.setAccess({ port: 0 }, access)
      await expect.poll(() => one.access).toBe(access)
    }
    expect(told).toEqual(['non-optimized', 'unavailable', 'optimized'])
  })

  test('that forbids a write ends it unexecuted, for another path', async () => {
    const { array, open } = await bed({ array: { ports: [{}, {}] } })
    const path = await open(0)
    array.faults.wire({ pdu: 'response', admin: true, drop: true, count: 1 })
    array.setAccess({ port: 0 }, 'standby')
    const status = await write(path, 1)
    expect(status).toBe(Errno.EAGAIN | PATH_ERROR | NOT_EXECUTED)
    await expect.poll(() => path.access).toBe('standby')
  })

  test('is read once or twice for hundreds of commands of many namespaces that it forbids', async () => {
    const { array, open } = await bed({ sizes: Array.from({ length: 12 }, () => '1MiB'), array: { ports: [{}, {}] } })
    const paths = await Promise.all(Array.from({ length: 12 }, (_, at) => open(0, at + 1)))
    array.setAccess({ port: 0 }, 'standby')
    const before = array.counters.adminCommands[0x02] ?? 0
    const writes = paths.flatMap((path) => Array.from({ length: 20 }, (_, at) => write(path, 1, at * 512)))
    expect((await Promise.all(writes)).every(isPathError)).toBe(true)
    for (const path of paths) await expect.poll(() => path.access).toBe('standby')
    expect((array.counters.adminCommands[0x02] ?? 0) - before).toBeLessThan(12)
  })

  test('that a command meets is heard by the paths of its group that have none', async () => {
    const { array, open } = await bed({
      sizes: ['1MiB', '1MiB'],
      namespace: () => ({ anaGroup: 3 }),
      array: { ports: [{}, {}] },
    })
    const [busy, idle] = [await open(0, 1), await open(0, 2)]
    // The event that would tell of it is lost.
    array.faults.wire({ pdu: 'response', admin: true, drop: true, count: 1 })
    array.setAccess({ port: 0 }, 'standby')
    expect(await write(busy, 1)).toSatisfy(isPathError)
    await expect.poll(() => idle.access).toBe('standby')
  })

  test('endless transition is none after the time that the controller tells', async () => {
    const { array, open } = await bed({ array: { ports: [{}, {}] } })
    const transitionTime = (data: Buffer): Buffer => {
      const changed = Buffer.from(data)
      if (changed[77] !== 0 && changed.readUInt16LE(78) !== 0) changed[342] = 1
      return changed
    }
    array.faults.command({ admin: true, opcode: 0x06, nsid: 0, data: transitionTime })
    const path = await open(0)
    const troubles: PathTrouble[] = []
    path.events.on('trouble', (trouble) => troubles.push(trouble))
    array.setAccess({ port: 0 }, 'transitioning')
    await expect.poll(() => path.access).toBe('transitioning')
    await expect.poll(() => path.access, { timeout: 5000 }).toBe('unavailable')
    expect(troubles).toMatchObject([{ kind: 'access state does not settle', severity: 'warning' }])
    array.setAccess({ port: 0 }, 'optimized')
    await expect.poll(() => path.access).toBe('optimized')
    expect(await write(path, 1)).toBe(OK)
  })

  test.each([1, 60])('may take as long as the controller says: %i s', async (transitionTime) => {
    const { open } = await bed({ array: { transitionTime } })
    expect((await open(0)).transitionTime).toBe(1000 * transitionTime)
  })

  test('that an array tells with a state that is none costs the path, not the process', async () => {
    const { array, open } = await bed({ array: { ports: [{}, {}] } })
    const path = await open(0)
    const down = new Promise((resolve) => path.events.on('down', resolve))
    array.faults.command({
      admin: true,
      opcode: 0x02,
      data(data) {
        const changed = Buffer.from(data)
        changed[32] = 9
        return changed
      },
    })
    array.setAccess({ port: 0 }, 'non-optimized')
    expect(await down).toMatchObject({ message: expect.stringContaining('state 9') })
  })
})

test('states that change under load, and ports that die, lose no write', async () => {
  const made = await rig({ memory: { volumes: [{ size: '1MiB', blockSize: 512 }] }, initiator: { pollInterval: 100 } })
  const { storage, array, target } = made
  const infos = await target.discover()
  const device = await openMultipath(
    infos[0]!.volume,
    infos.map((info) => ({ info, target })),
  )
  afterwards(() => device.close({ signal: AbortSignal.timeout(1000) }).catch(() => {}))
  const volume = storage.volumes[0]!.id
  const written = new Map<number, number>()
  let running = true
  const load = async (block: number): Promise<void> => {
    for (let byte = 1; running; byte = (byte % 255) + 1) {
      if ((await write(device, byte, block * 512)) !== OK) throw new Error('a write failed')
      written.set(block, byte)
    }
  }
  const all = Promise.all(Array.from({ length: 16 }, (_, block) => load(block)))
  for (let round = 0; round < 8; round++) {
    const port = round % 2
    storage.setAccess(volume, { port: 1 - port }, 'optimized')
    storage.setAccess(volume, { port }, round % 3 === 0 ? 'standby' : 'transitioning')
    await new Promise((resolve) => setTimeout(resolve, 40))
    if (round !== 5) continue
    storage.setAccess(volume, { port }, 'optimized')
    await array.ports[1 - port]!.down()
    await new Promise((resolve) => setTimeout(resolve, 200))
    await array.ports[1 - port]!.up()
  }
  for (const port of [0, 1]) storage.setAccess(volume, { port }, 'optimized')
  running = false
  await all
  for (const [block, byte] of written) expect(await read(device, block * 512)).toBe(byte)
  expect(array.violations).toEqual([])
})
