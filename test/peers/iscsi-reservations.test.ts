import { writeFile } from 'node:fs/promises'
import { Errno } from '@blockbraid/core'
import { sendScsi } from '@blockbraid/target-iscsi'
import { expect, it } from 'vitest'
import { openFolder } from './support/bed.ts'
import { blockbraid, ls, startBlockbraid } from './support/cli.ts'
import { allAre } from './support/data.ts'
import { fio, verifiedMix } from './support/fio.ts'
import type { IscsiBed } from './support/iscsi-bed.ts'
import { openIscsiBed, states } from './support/iscsi-bed.ts'
import type { Tgt, TgtTarget } from './support/tgt.ts'
import { itWithTgt, openTgt } from './support/tgt.ts'
import { run } from './support/tools.ts'

const patient = { timeout: 20_000 }
const GOOD = 0
const CONFLICT = 0x18
const WRITE_EXCLUSIVE_REGISTRANTS_ONLY = 5

/** PERSISTENT RESERVE OUT with its parameters (SPC-5 §6.17). */
function reserveOut(action: number, type: number, key: number, next = 0): [Uint8Array, Uint8Array] {
  const cdb = Buffer.from([0x5f, action, type, 0, 0, 0, 0, 0, 24, 0])
  const parameters = Buffer.alloc(24)
  parameters.writeBigUInt64BE(BigInt(key), 0)
  parameters.writeBigUInt64BE(BigInt(next), 8)
  return [cdb, parameters]
}

/** Sends a command through every path: what is registered is the path, not the host. */
async function onEveryPath({ pair }: IscsiBed, [cdb, data]: [Uint8Array, Uint8Array]): Promise<number[]> {
  const answers: number[] = []
  for (const { id } of pair.paths) answers.push((await sendScsi(pair.user, cdb, data, { path: id })).status)
  return answers
}

/** Writes through an initiator that nobody here wrote (qemu-block-extra), beside ours; whether it may. */
async function writeByQemu(tgt: Tgt, { name }: TgtTarget, fill: number): Promise<boolean> {
  const url = `iscsi://${tgt.portals[0]}/${name}/1`
  const { stdout } = await run('qemu-io', ['-f', 'raw', '-c', `write -P ${fill} 0 4k`, url])
  return /^wrote 4096\/4096 bytes/m.test(stdout)
}

const host = async (tgt: Tgt, name: string): Promise<IscsiBed> => {
  const bed = await openIscsiBed({ portals: tgt.portals, initiator: `iqn.2026-11.test:${name}` })
  await expect.poll(() => states(bed.pair), patient).toEqual(['up', 'up'])
  return bed
}

itWithTgt(
  'a reservation keeps other hosts out: EBADE, no path is blamed, and the holder goes on over all paths',
  async () => {
    await using tgt = await openTgt()
    const target = await tgt.addTarget()
    await target.addLun()
    await using one = await host(tgt, 'one')
    await using two = await host(tgt, 'two')
    expect(await writeByQemu(tgt, target, 7)).toBe(true)
    expect(allAre(await one.pair.user.read(0, 4096), 7)).toBe(true)
    const register = reserveOut(6, 0, 0, 0x1111)
    expect(await onEveryPath(one, register)).toEqual([GOOD, GOOD])
    const reserve = reserveOut(1, WRITE_EXCLUSIVE_REGISTRANTS_ONLY, 0x1111)
    expect((await sendScsi(one.pair.user, ...reserve)).status).toBe(GOOD)
    await fio(one.uri, one.folder.path, [...verifiedMix, '--size=8M'])

    const refused = { code: 'IO_FAILED', errno: Errno.EBADE }
    await expect(two.pair.user.write(0, Buffer.alloc(4096))).rejects.toMatchObject(refused)
    await two.pair.user.read(0, 4096)
    expect(two.pair.paths.map(({ state, failures }) => [state, failures])).toEqual(Array(2).fill(['up', 0]))
    expect((await sendScsi(two.pair.user, ...reserve)).status).toBe(CONFLICT)
    expect(await writeByQemu(tgt, target, 9)).toBe(false)
    expect(allAre(await two.pair.user.read(0, 4096), 9)).toBe(false)

    // The second host takes the first one's place.
    expect(await onEveryPath(two, reserveOut(6, 0, 0, 0x2222))).toEqual([GOOD, GOOD])
    const preempt = reserveOut(4, WRITE_EXCLUSIVE_REGISTRANTS_ONLY, 0x2222, 0x1111)
    expect((await sendScsi(two.pair.user, ...preempt)).status).toBe(GOOD)
    await two.pair.user.write(0, Buffer.alloc(4096, 2))
    await expect(one.pair.user.write(0, Buffer.alloc(4096, 1))).rejects.toMatchObject(refused)
    expect((await one.pair.user.read(0, 4096))[0]).toBe(2)
    // Neither end of a pair can flush against a reservation that is not its own.
    expect((await sendScsi(two.pair.user, ...reserveOut(3, 0, 0x2222))).status).toBe(GOOD)
    await one.pair.user.write(0, Buffer.alloc(4096, 1))
  },
)

itWithTgt('a path that is not registered beside one that is costs no error, and registerKey registers it', async () => {
  await using tgt = await openTgt()
  const target = await tgt.addTarget()
  await target.addLun()
  await using one = await host(tgt, 'one')
  const [first, second] = one.pair.paths
  for (const command of [reserveOut(6, 0, 0, 0x1111), reserveOut(1, WRITE_EXCLUSIVE_REGISTRANTS_ONLY, 0x1111)]) {
    expect((await sendScsi(one.pair.user, ...command, { path: first!.id })).status).toBe(GOOD)
  }
  for (let n = 0; n < 20; n++) await one.pair.user.write(4096 * n, Buffer.alloc(4096, n))
  expect(one.pair.paths.find(({ id }) => id === second!.id)).toMatchObject({
    state: 'up',
    failures: 0,
    reason: expect.stringContaining('kept out by a reservation'),
  })
  expect(one.pair.state).toBe('degraded')

  await using two = await openIscsiBed({
    portals: tgt.portals,
    initiator: 'iqn.2026-11.test:two',
    registerKey: '0x2222',
  })
  await expect.poll(() => states(two.pair), patient).toEqual(['up', 'up'])
  expect((await sendScsi(two.pair.user, ...reserveOut(6, 0, 0, 0x2222), { path: two.pair.paths[0]!.id })).status).toBe(
    GOOD,
  )
  await two.pair.failPath(two.pair.paths[1]!.id)
  two.pair.restorePath(two.pair.paths[1]!.id)
  await expect.poll(() => states(two.pair), patient).toEqual(['up', 'up'])
  for (let n = 0; n < 20; n++) await two.pair.user.write(4096 * n, Buffer.alloc(4096, n))
  expect(two.pair.paths.map(({ troubles }) => troubles)).toEqual([undefined, undefined])
})

itWithTgt('the command shows what the disk answers, and reserves it', async () => {
  await using tgt = await openTgt()
  const target = await tgt.addTarget()
  await target.addLun({ params: { scsi_sn: 'SERIAL42' } })
  await using folder = await openFolder()
  const control = folder.at('control.sock')
  await writeFile(
    folder.at('config.yaml'),
    `control: ${control}
targets:
  - { use: iscsi, portals: ["${tgt.portals[0]}", "${tgt.portals[1]}"] }
devices:
  - { volume: "*", name: disk, transport: { use: nbd, socket: ${folder.at('nbd.sock')} } }
`,
  )
  const agent = startBlockbraid(folder.path, 'up', folder.at('config.yaml'))
  const up = async (): Promise<number> => {
    const { pairs } = await ls(folder.path, control)
    return pairs.flatMap(({ paths }) => paths).filter(({ state }) => state === 'up').length
  }
  await expect.poll(() => up().catch(() => 0), patient).toBe(2)
  const scsi = (...words: string[]): Promise<string> =>
    blockbraid(folder.path, 'scsi', 'disk', ...words, '--control', control)
  expect(await scsi('inquiry')).toMatch(/IET.*VIRTUAL-DISK/s)
  expect(await scsi('vpd', '80')).toContain('SERIAL42')
  expect(await scsi('luns')).toMatch(/\b1\b/)
  await scsi('pr', 'register', '--key', 'abcd')
  await scsi('pr', 'reserve', '--key', 'abcd')
  expect(await scsi('pr', 'keys')).toMatch(/abcd/)
  expect(await scsi('pr', 'reservation')).toMatch(/abcd/)
  expect(await writeByQemu(tgt, target, 9)).toBe(false)
  await scsi('pr', 'clear', '--key', 'abcd')
  expect(await writeByQemu(tgt, target, 9)).toBe(true)
  agent.kill('SIGTERM')
  expect((await agent.ended).code).toBe(0)
})

it.todo('tgt has no READ FULL STATUS (PERSISTENT RESERVE IN): `pr status` is shown with LIO and the simulated array')
