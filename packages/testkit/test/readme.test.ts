import { delay } from '@blockbraid/core'
import { memory } from '@blockbraid/target-memory'
import { describe, expect, it } from 'vitest'
import {
  connectNbd,
  createChaosProxy,
  createMinimalSelector,
  iscsiArrayOf,
  listNbdExports,
  selectorSuite,
  simulate,
} from '../src/index.ts'
import { missing, Peer } from './peers.ts'

selectorSuite({ describe, it }, { create: () => createMinimalSelector(), has: { spreads: true } })

it('virtual time, as in the README', async () => {
  let runs = 0
  await simulate(20, async ({ clock }) => {
    await delay(clock, 30_000)
    runs++
  })
  expect(runs).toBe(20)
})

const reason = missing('nbdkit')
it.skipIf(reason !== '')(`NBD client, as in the README${reason && ` (${reason})`}`, async () => {
  const server = new Peer()
  server.start('nbdkit', '-f', '-U', server.socket, 'memory', '1M')
  await (await server.connect()).close()
  const client = await connectNbd(server.uri('disk'))
  await client.write(0, new Uint8Array(4096), { fua: true })
  expect((await client.blockStatus(0, client.size)).length).toBeGreaterThan(0)
  expect(await listNbdExports(server.uri())).toHaveLength(1)
  await client.close()
  await server.stop()
})

it('iSCSI array and chaos proxy, as in the README', async () => {
  const target = memory({ volumes: [{ size: '64MiB' }], ports: 2 })
  const array = await iscsiArrayOf(target, { name: 'iqn.2026-11.io.blockbraid:array0' })
  expect(array.portals.map(({ address }) => address)).toHaveLength(2)
  target.array.setAccess(0, { port: 0 }, 'standby')
  const rule = array.faults.wire({ pdu: 'dataIn', corrupt: 20, count: 1 })
  array.faults.command({ opcode: 0x2a, status: 2, sense: 0x0b_0000, count: 3 })
  expect(rule.hits).toBe(0)
  const { host, port } = array.portals[0]!
  const proxy = await createChaosProxy({ to: { host, port } })
  proxy.hold('up')
  proxy.release('up')
  const stop = proxy.every(5000, () => proxy.cut())
  stop()
  await proxy.close()
  await array.close()
})
