import { delay } from '@blockbraid/core'
import { describe, expect, it } from 'vitest'
import {
  connectNbd,
  createChaosProxy,
  createMinimalSelector,
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

it('chaos proxy, as in the README', async () => {
  const proxy = await createChaosProxy({ to: { host: '127.0.0.1', port: 3260 } })
  proxy.hold('up')
  proxy.release('up')
  const stop = proxy.every(5000, () => proxy.cut())
  stop()
  await proxy.close()
})
