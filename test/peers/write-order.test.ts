import type { MemoryArray } from '@blockbraid/target-memory'
import { createRandom, randomInt } from '@blockbraid/testkit'
import { expect, it } from 'vitest'
import { openBed } from './support/bed.ts'
import { fio, fioJob, startFio, verifiedMix } from './support/fio.ts'
import { mishapsDuring } from './support/mishaps.ts'
import { startQemuIo } from './support/qemu-io.ts'
import { seeded } from './support/seed.ts'

const BLOCK = 4096

/** What an application knows of a block: its last durable byte, and the bytes written since. */
interface Known {
  durable: number
  since: number[]
}

/** Takes a byte that fills a whole block; -1 where the block is torn. */
function byteOf(block: Uint8Array): number {
  const first = block[0]!
  return block.every((byte) => byte === first) ? first : -1
}

function expectNothingLost(array: MemoryArray, random: () => number, images: number): void {
  for (let n = 0; n < images; n++) expect(array.lostWrites(0, array.crashImage(0, random))).toEqual([])
}

it('a crash at any moment loses no acknowledged FUA write and none before a completed flush: fio', async () => {
  const { seed, random } = seeded()
  await using bed = await openBed({
    array: { volumes: [{ size: '4MiB' }], latency: { base: 100, jitter: 300 }, fenceDelay: 2000, log: true },
  })
  const running = startFio(bed.uri, bed.folder.path, [...verifiedMix, '--size=4M', '--loops=6', '--end_fsync=1'])
  const crashes = createRandom(seed + 1)
  const { result } = await mishapsDuring(running.ended, bed.array, random, () => {
    expectNothingLost(bed.array, crashes, 1)
  })
  expect(fioJob(result).syncs).toBeGreaterThan(10)
  expectNothingLost(bed.array, crashes, 4)
  // fio flushed at its end, so that all it wrote is durable: every crash leaves the same bytes.
  const sums = new Set(Array.from({ length: 4 }, () => bed.array.crashImage(0, crashes).checksum()))
  expect([...sums]).toEqual([bed.array.checksum(0)])
  // Without a flush they differ, or this would show nothing.
  await fio(bed.uri, bed.folder.path, ['--rw=write', '--bs=64k', '--size=4M', '--buffer_pattern=0x77'])
  expect(bed.array.crashImage(0, crashes).checksum()).not.toBe(bed.array.checksum(0))
})

it('a crash keeps what qemu-io was told is durable, whatever happens to paths', async () => {
  const { seed, random } = seeded()
  const blocks = 64
  await using bed = await openBed({
    array: { volumes: [{ size: blocks * BLOCK }], latency: { base: 100, jitter: 300 }, fenceDelay: 2000, log: true },
  })
  const known = Array.from({ length: blocks }, (): Known => ({ durable: 0, since: [] }))
  const session = await startQemuIo(bed.uri)
  const say = async (command: string): Promise<void> => {
    expect(await session.ask(command)).not.toContain('failed')
  }
  const talk = async (): Promise<void> => {
    for (let n = 0; n < 600; n++) {
      const block = randomInt(random, blocks)
      const byte = 1 + (n % 255)
      const kind = randomInt(random, 10)
      // No flush at the end: then there is something to lose.
      if (kind === 0 && n < 580) {
        await say('flush')
        for (const one of known) {
          one.durable = one.since.at(-1) ?? one.durable
          one.since = []
        }
      } else if (kind < 4) {
        await say(`write -f -P ${byte} ${block * BLOCK} ${BLOCK}`)
        known[block] = { durable: byte, since: [] }
      } else {
        await say(`write -P ${byte} ${block * BLOCK} ${BLOCK}`)
        known[block]!.since.push(byte)
      }
    }
  }
  await mishapsDuring(talk(), bed.array, random)
  const crashes = createRandom(seed + 1)
  let lost = 0
  for (let crash = 0; crash < 8; crash++) {
    const image = bed.array.crashImage(0, crashes)
    for (const [block, { durable, since }] of known.entries()) {
      const found = byteOf(image.read(block * BLOCK, BLOCK))
      expect([durable, ...since], `seed ${seed}, block ${block}, crash ${crash}`).toContain(found)
      if (found !== (since.at(-1) ?? durable)) lost++
    }
    expect(bed.array.lostWrites(0, image)).toEqual([])
  }
  // Some writes were not durable yet, and some of those were lost.
  expect(lost).toBeGreaterThan(0)
  await session.kill()
})

it('a flush through one connection makes durable what was acknowledged through another', async () => {
  await using bed = await openBed({ array: { volumes: [{ size: '1MiB' }], log: true } })
  const [one, other] = [await startQemuIo(bed.uri), await startQemuIo(bed.uri)]
  // A power loss that takes all that is not durable.
  const left = (): number => byteOf(bed.array.crashImage(0, () => 1).read(0, BLOCK))
  expect(await one.ask(`write -P 1 0 ${BLOCK}`)).not.toContain('failed')
  expect(left()).toBe(0)
  // qemu sends no flush where it has written nothing.
  expect(await other.ask(`write -P 2 ${BLOCK} ${BLOCK}`)).not.toContain('failed')
  expect(await other.ask('flush')).not.toContain('failed')
  expect(left()).toBe(1)
  await one.kill()
  await other.kill()
})
