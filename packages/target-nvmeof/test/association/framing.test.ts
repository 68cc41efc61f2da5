import type { NvmeArrayOfOptions } from '@blockbraid/array-nvmeof'
import { nvmeArrayOf } from '@blockbraid/array-nvmeof'
import { systemHost } from '@blockbraid/core'
import { memory } from '@blockbraid/target-memory'
import { createRandom } from '@blockbraid/testkit'
import { expect, onTestFinished, test } from 'vitest'
import type { Association } from '../../src/association/association.ts'
import type { OpenOptions } from '../../src/association/open.ts'
import { openAssociation } from '../../src/association/open.ts'
import { putRange } from '../../src/nvme/io.ts'
import { portalOf } from '../../src/place/portal.ts'
import { type Command, Direction, Outcome } from '../../src/queue/command.ts'
import { options, place } from '../support/controller.ts'

const BLOCK = 512
const BLOCKS = 4096

/** An association with the simulated array, over real sockets. */
async function open(array: Partial<NvmeArrayOfOptions>, changes: Partial<OpenOptions> = {}): Promise<Association> {
  const storage = memory({ volumes: [{ size: BLOCKS * BLOCK, blockSize: BLOCK }], ports: 1 })
  onTestFinished(() => storage.close())
  const made = await nvmeArrayOf(storage, { name: place.subNqn, ...array })
  onTestFinished(() => made.close())
  const [host, port] = (made.ports[0]?.address ?? '').split(':') as [string, string]
  const association = await openAssociation({
    ...options,
    ...changes,
    clock: systemHost.clock,
    place: { ...place, portal: portalOf(host, Number(port)) },
  })
  onTestFinished(() => {
    expect(made.violations).toEqual([])
    expect(made.counters.terminations).toBe(0)
  })
  return association
}

/** Reads or writes; resolves when it has succeeded. */
function move(association: Association, direction: Direction, lba: number, views: Buffer[], lends = false) {
  const command = association.take() as Command
  const length = views.reduce((sum, view) => sum + view.length, 0)
  command.owner = association
  command.direction = direction
  command.length = length
  command.lends = lends
  command.buffers = lends ? [] : views
  command.changes = direction === Direction.Write
  putRange(command.sqe, direction === Direction.Write ? 1 : 2, 1, lba, length / BLOCK, 0)
  return new Promise<Buffer>((resolve, reject) => {
    command.done = ({ outcome, status, buffers }) => {
      if (outcome === Outcome.Answered && status === 0) resolve(Buffer.concat(buffers))
      else reject(new Error(`outcome ${outcome}, status ${status}`))
    }
    association.send(command)
  })
}

const rows: [string, Partial<NvmeArrayOfOptions>, Partial<OpenOptions>][] = [
  ['as most arrays are', {}, {}],
  ['with header digests', {}, { headerDigest: true }],
  ['with data digests', {}, { dataDigest: true }],
  ['with both digests, and data far from its header', { dataAlignment: 128 }, { headerDigest: true, dataDigest: true }],
  [
    'where the array refuses digests',
    { headerDigest: false, dataDigest: false },
    { headerDigest: true, dataDigest: true },
  ],
  ['with nothing inside of commands', { inCapsuleData: 0 }, {}],
  ['with all inside of commands', { inCapsuleData: 1 << 20 }, {}],
  ['with small H2CData', { inCapsuleData: 512, maxH2CData: 4096 }, { dataDigest: true }],
  ['with small R2Ts, more of them than may be', { inCapsuleData: 0, r2tSize: 512, r2tsAtOnce: 4 }, {}],
  ['with small C2HData', { c2hDataSize: 512 }, { headerDigest: true, dataDigest: true }],
  ['with a completion for each read', { successFlag: false }, {}],
  ['with flow control of the submission queue', { flowControlDisable: false }, {}],
  ['with several queues of few entries', { queueSize: 4 }, { queues: 4 }],
]

test.each(rows)('what was written is read, %s', { timeout: 60_000 }, async (_, array, changes) => {
  const seed = Math.floor(Math.random() * 2 ** 32)
  const random = createRandom(seed)
  const pick = (count: number): number => Math.floor(random() * count)
  const association = await open(array, changes)
  const volume = Buffer.alloc(BLOCKS * BLOCK)
  const PIECE = BLOCKS / 32
  const work = async (slot: number): Promise<void> => {
    for (let round = 0; round < 12; round++) {
      const lba = slot * PIECE + pick(PIECE / 2)
      const blocks = 1 + pick(pick(4) === 0 ? PIECE / 2 : 8)
      const [start, end] = [lba * BLOCK, (lba + blocks) * BLOCK]
      for (let at = start; at < end; at++) volume[at] = pick(256)
      const cut = start + pick(end - start)
      await move(association, Direction.Write, lba, [volume.subarray(start, cut), volume.subarray(cut, end)])
      const lends = pick(2) === 0
      const back = await move(association, Direction.Read, lba, [Buffer.alloc(end - start)], lends)
      if (!back.equals(volume.subarray(start, end))) throw new Error(`seed ${seed}: block ${lba} is another`)
    }
  }
  await Promise.all(Array.from({ length: 32 }, (_, slot) => work(slot)))
  await association.close()
})
