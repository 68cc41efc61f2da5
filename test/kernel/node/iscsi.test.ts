// The whole chain: applications, the node, iSCSI in user space, the iSCSI target of the kernel.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createHostAgent } from '@blockbraid/core'
import { roundRobin } from '@blockbraid/policy-round-robin'
import { sendScsi } from '@blockbraid/target-iscsi'
import { until, within } from '../guest/wait.ts'
import { openBed } from '../lio/bed.ts'
import { createTransport, MIB, nodesInUse } from './bed.ts'
import { fio, mount, tool } from './tools.ts'

test('mission 1, 10, 17: a filesystem over iSCSI, a portal cut under fio verify; no initiator of the kernel has a part in it', async () => {
  await using lio = openBed({ luns: [{ size: 64 * MIB, blockSize: 4096 }] })
  const transport = await createTransport()
  const agent = createHostAgent({ targets: [lio.initiator()] })
  try {
    await agent.rescan()
    const pair = await agent.pair({
      name: 'disk',
      device: lio.ids[0]!,
      transport,
      selector: () => roundRobin(),
      multipath: { reconnectDelayMax: 500, connectTimeout: 60_000 },
    })
    assert.equal(pair.paths.length, 2)
    assert.equal(nodesInUse().length, 1)
    const { node } = pair.kernel
    const modules = readFileSync('/proc/modules', 'utf8')
    assert.doesNotMatch(modules, /^(libiscsi|iscsi_tcp|scsi_transport_iscsi|nvme|nvme_tcp|nvme_fabrics|dm_multipath) /m)
    assert.deepEqual(
      readdirSync('/sys/class/block').filter((name) => /^(sd|nvme|dm-)/.test(name)),
      [],
    )
    await tool('mkfs.ext4', '-q', node)
    {
      await using mounted = await mount(node)
      const work = fio(
        { directory: mounted.folder, verify: 'crc32c', rw: 'randwrite', size: '4m' },
        { direct: { bs: '4k', direct: 1, ioengine: 'libaio', iodepth: 8 }, buffered: { bs: '16k', fsync: 8 } },
      )
      const over = work.ended.then(() => true)
      let cuts = 0
      while (!(await Promise.race([over, sleep(300, false)]))) {
        const tag = 1 + (cuts++ % 2)
        await lio.lio.setEnabled(tag, false)
        await until('the path is lost', () => pair.paths.some(({ state }) => state !== 'up'))
        await lio.lio.setEnabled(tag, true)
        await until('it is back', () => pair.paths.every(({ state }) => state === 'up'))
      }
      await work.done
      assert.ok(cuts > 1)
    }
    await tool('e2fsck', '-fn', node)
    // mission 12: SCSI commands go beside the node.
    const INQUIRY = [0x12, 0, 0, 0, 96, 0]
    const { status, data } = await sendScsi(pair.user, Uint8Array.from(INQUIRY), 96)
    assert.equal(status, 0)
    assert.match(Buffer.from(data).toString('latin1'), /LIO-ORG/)
  } finally {
    await within('the agent is closed', agent.close({ mode: 'force' }))
    await transport.close()
  }
})
