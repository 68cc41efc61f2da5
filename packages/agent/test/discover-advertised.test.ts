import { nvmeArrayOf } from '@blockbraid/array-nvmeof'
import { memory } from '@blockbraid/target-memory'
import { beforeEach, expect, it, vi } from 'vitest'
import { run } from './fixtures/terminal.ts'

const NQN = 'nqn.2026-11.io.blockbraid:advertised'
const services: object[] = []
beforeEach(() => void services.splice(0))

// What a test asks by multicast would leave the machine. An answer takes a moment, as those of others do.
vi.mock('bonjour-service', () => ({
  Bonjour: class {
    find(_what: object, up: (service: object) => void) {
      for (const service of services) setTimeout(up, 10, service)
      return { stop() {} }
    }
    destroy() {}
  },
}))

it('discover nvme-tcp: lists what advertised discovery controllers tell of', async () => {
  await using inner = closing(memory({ volumes: [{ size: '1MiB' }] }))
  await using array = closing(await nvmeArrayOf(inner.it, { name: NQN }))
  const { host, port, address } = array.it.ports[0]!
  services.push({ name: 'array', host: 'array.local.', addresses: [host], port, txt: { p: 'tcp' } })
  const { code, out, err } = await run('.', 'discover', 'nvme-tcp:')
  expect([code, err]).toEqual([0, ''])
  expect(out).toContain(`${address}/ns1`)
})

it('discover nvme-tcp: says that nobody is advertised', async () => {
  const { code, err } = await run('.', 'discover', 'nvme-tcp:')
  expect(code).toBe(1)
  expect(err).toContain('no discovery controller is advertised by multicast DNS; name a host')
})

function closing<Thing extends { close(): Promise<void> }>(it: Thing) {
  return { it, [Symbol.asyncDispose]: () => it.close() }
}
