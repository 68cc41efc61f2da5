// The whole chain: fio, an NBD export or a kernel node, NVMe/TCP in user space, the kernel's target.
import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { test } from 'node:test'
import type { BlockDevicePair, Transport } from '@blockbraid/core'
import { createHostAgent } from '@blockbraid/core'
import { roundRobin } from '@blockbraid/policy-round-robin'
import { nbd } from '@blockbraid/transport-nbd'
import { ublk } from '@blockbraid/transport-ublk'
import { until, within } from '../guest/wait.ts'
import { isOver } from '../judges/load.ts'
import type { Running } from '../node/tools.ts'
import { fio } from '../node/tools.ts'
import type { Bed } from './bed.ts'
import { MIB, openBed } from './bed.ts'

const job = { verify: 'crc32c', rw: 'randwrite', bs: '4k', iodepth: 16, size: '6m' }

test('fio verify through a ublk node: states change, controllers end, the namespace grows; no namespace of the kernel has a part in it', async () => {
  await using bed = openBed({ namespaces: [{ blockSize: 4096 }] })
  await usingPair(bed, ublk({}), async (pair) => {
    assert.deepEqual(
      readdirSync('/sys/class/block').filter((name) => name.startsWith('nvme')),
      [],
    )
    const work = fio({ ...job, filename: pair.kernel.node, direct: 1, ioengine: 'libaio' }, { load: {} })
    await trouble(bed, pair, work)
  })
})

test('fio verify through an NBD export: states change, controllers end, the namespace grows', async () => {
  await using bed = openBed({ namespaces: [{ blockSize: 4096 }] })
  const socket = '/run/nvmet-export.sock'
  await usingPair(bed, nbd({ socket }), async (pair) => {
    const uri = `nbd+unix:///disk?socket=${socket}`
    await trouble(bed, pair, fio({ ...job, ioengine: 'nbd', uri }, { load: {} }))
  })
})

async function usingPair(
  bed: Bed,
  transport: Transport,
  work: (pair: BlockDevicePair) => Promise<void>,
): Promise<void> {
  const agent = createHostAgent({ targets: [bed.initiator({ headerDigest: true, dataDigest: true, queues: 2 })] })
  try {
    await agent.rescan()
    const multipath = { reconnectDelayMax: 500, connectTimeout: 60_000 }
    const device = bed.volumes[0]!.id
    await work(await agent.pair({ name: 'disk', device, transport, selector: () => roundRobin(), multipath }))
  } finally {
    await within('the agent is closed', agent.close({ mode: 'force' }))
    await transport.close()
  }
}

/** What goes wrong while something works on the pair, again and again until it is over. */
async function trouble(bed: Bed, pair: BlockDevicePair, work: Running): Promise<void> {
  const allUp = (): boolean => pair.paths.every(({ state }) => state === 'up')
  await until('both paths are up', () => pair.paths.length === 2 && allUp())
  let turns = 0
  for (; !(await isOver(work)); turns++) {
    const port = 1 + (turns % 2)
    bed.nvmet.setAccess(port, 1, 'standby')
    await until('the state is known', () => pair.paths.some(({ access }) => access === 'standby'))
    bed.nvmet.setAccess(port, 1, 'optimized')
    await bed.nvmet.setUp(port, false)
    await until('the path is lost', () => !allUp())
    await bed.nvmet.setUp(port, true)
    await until('it is back', allUp)
    if (turns === 0) {
      bed.volumes[0]!.storage.grow(96 * MIB)
      bed.nvmet.revalidate(1)
    }
  }
  await work.done
  await until('the device has grown', () => pair.user.limits.size === 96 * MIB)
  assert.ok(turns > 1, `it was over after ${turns} turns`)
}
