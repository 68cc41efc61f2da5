import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { BlockError } from '@blockbraid/core'
import { Bonjour } from 'bonjour-service'
import { afterEach, expect, it, vi } from 'vitest'
import { advertised } from '../../src/discovery/advertised.ts'

// Nothing of a test leaves the machine.
const LOOPBACK = '127.0.0.1'
const hosts: Bonjour[] = []

afterEach(() => {
  vi.doUnmock('bonjour-service')
  for (const host of hosts.splice(0)) host.destroy()
})

function publish(name: string, type: string, port: number, txt: Record<string, string>): void {
  const host = new Bonjour({ interface: LOOPBACK, bind: '0.0.0.0' } as object)
  hosts.push(host)
  host.publish({ name, type, port, txt, probe: false })
}

it('finds discovery controllers over TCP that are advertised, and nothing else', async () => {
  publish('array one', 'nvme-disc', 8009, { p: 'tcp', nqn: 'nqn.2014-08.org.nvmexpress.discovery' })
  publish('array two', 'nvme-disc', 8010, {})
  publish('over RDMA', 'nvme-disc', 4420, { p: 'roce' })
  publish('a printer', 'ipp', 631, {})
  let found = await advertised({ interface: LOOPBACK, wait: 500 })
  for (let round = 0; found.length < 2 && round < 10; round++)
    found = await advertised({ interface: LOOPBACK, wait: 500 })
  expect(found.map(({ name }) => name).sort()).toEqual(['array one', 'array two'])
  for (const { name, portals } of found) {
    expect(portals.length).toBeGreaterThan(0)
    for (const portal of portals) expect(portal).toMatch(name === 'array one' ? /:8009$/ : /:8010$/)
  }
})

it('is not upset by who sends what is no DNS', async () => {
  const socket = createSocket('udp4')
  socket.bind(0, LOOPBACK)
  await once(socket, 'listening')
  socket.setMulticastInterface(LOOPBACK)
  const noise = setInterval(() => socket.send(Buffer.from([0, 1, 2, 255, 254, 253]), 5353, '224.0.0.251'), 20)
  await expect(advertised({ interface: LOOPBACK, wait: 200 })).resolves.toBeInstanceOf(Array)
  clearInterval(noise)
  socket.close()
})

it('ends when it is called off', async () => {
  const reason = new BlockError('ABORTED', 'enough')
  const signal = AbortSignal.abort(reason)
  await expect(advertised({ interface: LOOPBACK, signal })).rejects.toBe(reason)
})

it('says what is missing where the package for it is not there', async () => {
  vi.doMock('bonjour-service', () => {
    throw new Error('not found')
  })
  await expect(advertised({ interface: LOOPBACK })).rejects.toThrow(/need the package bonjour-service/)
})
