// What an operator reads of a sick array: the log, `ls` and `stats` of the command.

import { writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import type { IscsiArray } from '@blockbraid/array-iscsi'
import { iscsiArrayOf } from '@blockbraid/array-iscsi'
import { memory } from '@blockbraid/target-memory'
import type { NbdClient } from '@blockbraid/testkit'
import { connectNbd } from '@blockbraid/testkit'
import { expect, it } from 'vitest'
import type { Folder } from './support/bed.ts'
import { openFolder } from './support/bed.ts'
import { blockbraid, ls, startBlockbraid } from './support/cli.ts'
import { itWithTgt, openTgt } from './support/tgt.ts'
import type { Running } from './support/tools.ts'

const patient = { timeout: 20_000 }
const READ_10 = 0x28
const WRITE_10 = 0x2a
const DATED = /^blockbraid: \d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (error|warning|info): (.*)$/

async function up(folder: Folder, portals: readonly string[]): Promise<Running> {
  await writeFile(
    folder.at('config.yaml'),
    `control: ${folder.at('control.sock')}
targets:
  - { use: iscsi, portals: [${portals.map((portal) => JSON.stringify(portal)).join(', ')}] }
devices:
  - { volume: "*", name: "vol-{n}", transport: { use: nbd, socket: ${folder.at('nbd.sock')} } }
`,
  )
  const agent = startBlockbraid(folder.path, 'up', folder.at('config.yaml'))
  await agent.printed((stdout) => stdout.includes('Ctrl-C'))
  return agent
}

const exportOf = ({ at }: Folder, n: number): Promise<NbdClient> =>
  connectNbd(`nbd+unix:///vol-${n}?socket=${at('nbd.sock')}`)

/** Lines of the log without their times, as severity and text; those that answer somebody have no severity. */
const log = (agent: Running): string[] =>
  agent.stderr
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => DATED.exec(line)?.slice(1).join(': ') ?? line)

async function sickArray(): Promise<{ array: IscsiArray; close: () => Promise<void> }> {
  const inner = memory({ ports: 2, volumes: [{ size: '16MiB' }, { size: '16MiB' }, { size: '16MiB' }] })
  const array = await iscsiArrayOf(inner, { name: 'iqn.2026-11.test:sick' })
  return {
    array,
    async close() {
      await array.close()
      await inner.close({ signal: AbortSignal.timeout(2000) }).catch(() => {})
    },
  }
}

it('a sick array: the log says once what is wrong, with block, LUN and portal; ls has the last, stats counts it', async () => {
  await using folder = await openFolder()
  const { array, close } = await sickArray()
  try {
    const agent = await up(
      folder,
      array.portals.map(({ address }) => address),
    )
    const clients = await Promise.all([0, 1, 2].map((n) => exportOf(folder, n)))
    array.faults.command({ lun: 0, opcode: READ_10, status: 2, sense: 0x031100 })
    array.faults.command({ lun: 1, opcode: WRITE_10, status: 2, sense: 0x072707 })
    array.faults.command({ lun: 2, opcode: WRITE_10, status: 0x18 })
    for (let n = 0; n < 50; n++) {
      await expect(clients[0]!.read(4096 * n, 4096)).rejects.toMatchObject({ code: 'IO_FAILED' })
      await expect(clients[1]!.write(4096 * n, Buffer.alloc(4096))).rejects.toMatchObject({ code: 'IO_FAILED' })
      await expect(clients[2]!.write(4096 * n, Buffer.alloc(4096))).rejects.toMatchObject({ code: 'IO_FAILED' })
    }
    const lines = log(agent)
    const where = (lun: number) => `LUN ${lun} through 127\\.0\\.0\\.1:\\d+`
    expect(lines).toEqual([
      expect.stringMatching(
        `^error: vol-0: medium error, unrecovered read error \\(03/11/00\\); read at block 0, ${where(0)}$`,
      ),
      expect.stringMatching(
        `^error: vol-1: data protect, no space left to allocate \\(07/27/07\\); write at block 0, ${where(1)}$`,
      ),
      expect.stringMatching(`^error: vol-2: reservation conflict; write at block 0, ${where(2)}; a reservation lets`),
    ])
    const listing = await ls(folder.path, folder.at('control.sock'))
    expect(listing.pairs.map(({ state }) => state)).toEqual(['active', 'active', 'active'])
    const columns = ['--control', folder.at('control.sock')]
    const shown = await blockbraid(folder.path, 'ls', ...columns)
    for (const word of ['medium error', 'no space left', 'reservation conflict']) expect(shown).toContain(word)
    // A count is told every five seconds.
    await expect.poll(() => blockbraid(folder.path, 'stats', ...columns), patient).toMatch(/^ {4}medium error 50$/m)
    for (const client of clients) client.destroy()
    agent.kill('SIGTERM')
    expect((await agent.ended).code).toBe(0)
  } finally {
    await close()
  }
})

itWithTgt('tgt: a session that is cut, and a target that dies, in the words of the socket', async () => {
  await using tgt = await openTgt()
  const target = await tgt.addTarget()
  await target.addLun()
  await using folder = await openFolder()
  const agent = await up(folder, tgt.portals)
  await expect
    .poll(
      async () => (await ls(folder.path, folder.at('control.sock'))).pairs[0]?.paths.map(({ state }) => state),
      patient,
    )
    .toEqual(['up', 'up'])
  // What ends within a second of its login is put down to another initiator, too.
  await sleep(1100)
  await tgt.kill()
  await expect.poll(() => log(agent).filter((line) => line.includes('stalled')), patient).toHaveLength(1)
  const downs = log(agent).filter((line) => line.includes(' is down'))
  expect(downs).toHaveLength(2)
  for (const line of downs) {
    expect(line).toMatch(
      /^warning: vol-0: path iscsi:\S+ is down: (the target closed the connection|the connection was reset \(ECONNRESET\)|.*EPIPE\))$/,
    )
  }
  const stats = JSON.parse(await blockbraid(folder.path, 'stats', '--json', '--control', folder.at('control.sock')))
  for (const path of stats.pairs[0].paths) expect(path).toMatchObject({ troubles: { 'connection lost': 1 } })
  await tgt.restart()
  await expect
    .poll(() => log(agent).filter((line) => line.startsWith('info: vol-0: ')), patient)
    .toContain('info: vol-0: resumed')
  agent.kill('SIGTERM')
  expect((await agent.ended).code).toBe(0)
})
