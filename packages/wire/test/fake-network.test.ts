import { createVirtualClock, virtualHost } from '@blockbraid/testkit'
import { expect, test } from 'vitest'
import type { Wire, WireSink } from '../src/index.ts'
import { FakeNetwork, InputPool, InputWindow, OutboxPool } from '../src/index.ts'

const AT = '10.0.0.1:3260'

function sinkOf(log: string[], name: string): WireSink {
  return {
    bytes: (chunk, start, end) => log.push(`${name} ${chunk.subarray(start, end)}`),
    finished: () => log.push(`${name} finished`),
    closed: (error) => log.push(`${name} closed ${(error as NodeJS.ErrnoException | undefined)?.code ?? 'well'}`),
  }
}

/** A network in which the address listens, and answers nothing by itself. */
async function rig(seed = 1) {
  const { clock, random } = virtualHost(seed)
  const net = new FakeNetwork(clock, { random, latency: [1, 1], pieces: false })
  const log: string[] = []
  const accepted: Wire[] = []
  const inputs = new InputPool(1)
  const shared = { clock, inputs, outputs: new OutboxPool(1), window: new InputWindow(inputs) }
  const host = net.host()
  const options = {
    ...shared,
    maxConnections: 9,
    keepAlive: 0,
    accept(wire: Wire) {
      wire.sink = sinkOf(log, 'server')
      accepted.push(wire)
    },
  }
  const listener = await net.host().listen({ host: '10.0.0.1', port: 3260 }, options)
  const open = (signal?: AbortSignal) => host.open({ host: '10.0.0.1', port: 3260 }, shared, { signal })
  const connect = async (): Promise<Wire> => {
    const wire = await clock.runUntil(open())
    wire.sink = sinkOf(log, 'client')
    return wire
  }
  const say = (wire: Wire, text: string): void => {
    wire.outbox.attach(Buffer.from(text))
    wire.outbox.flush()
  }
  return { clock, net, log, accepted, host, listener, open, connect, say }
}

test('what is sent arrives, a connection ends at both ends, and nothing is left', async () => {
  const { clock, net, log, accepted, listener, connect, say } = await rig()
  const wire = await connect()
  say(wire, 'hello')
  await clock.advance(2)
  say(accepted[0]!, 'there')
  await clock.advance(2)
  wire.reset()
  await clock.advance(2)
  expect(log).toEqual(['server hello', 'client there', 'server closed ECONNRESET'])
  await clock.runUntil(listener.close())
  expect({ connections: net.connections, held: net.held, timers: clock.timers }).toEqual({
    connections: 0,
    held: 0,
    timers: 0,
  })
})

test('nobody listens, it refuses, it is silent: each connect ends as TCP does', async () => {
  const { clock, net, listener, open } = await rig()
  net.answer(AT, 'refused')
  await expect(clock.runUntil(open())).rejects.toMatchObject({ code: 'CONNECT_FAILED' })
  net.answer(AT, 'silent')
  const over = new AbortController()
  const asked = open(over.signal)
  await clock.advance(1000)
  over.abort(new Error('too late'))
  await expect(asked).rejects.toThrow('too late')
  await expect(clock.runUntil(open())).rejects.toThrow('ETIMEDOUT')
  net.heal()
  await listener.close()
  await expect(clock.runUntil(open())).rejects.toThrow('ECONNREFUSED')
  expect(clock.timers).toBe(0)
})

test('in the dark nothing arrives, in one direction or both; afterwards it does, in order', async () => {
  const { clock, net, log, accepted, connect, say } = await rig()
  const wire = await connect()
  net.dark(AT, ['to'], true)
  say(wire, 'one')
  say(accepted[0]!, 'heard')
  await clock.advance(50)
  say(wire, 'two')
  await clock.advance(50)
  expect(log).toEqual(['client heard'])
  net.dark(AT, ['to', 'from'], false)
  await clock.advance(5)
  expect(log).toEqual(['client heard', 'server one', 'server two'])
})

test('of a connection that ended in the dark the rest comes late, or never', async () => {
  const ends = new Set<string>()
  for (let seed = 1; seed <= 20; seed++) {
    const { clock, net, log, connect, say } = await rig(seed)
    const wire = await connect()
    net.dark(AT, ['to', 'from'], true)
    say(wire, 'late')
    await clock.advance(10)
    wire.reset()
    net.dark(AT, ['to', 'from'], false)
    await clock.advance(10)
    ends.add(log.join(', '))
  }
  expect([...ends].sort()).toEqual(['', 'server late, server closed ECONNRESET'])
})

test('a process that ends leaves no connection, one that was under way neither', async () => {
  const { clock, net, log, host, open, connect } = await rig()
  await connect()
  void open().catch(() => {})
  net.endHost(host)
  await clock.advance(10)
  expect(log).toEqual(['server finished'])
  expect(net.connections).toBe(1)
})

test('an address that listens already is in use', async () => {
  const clock = createVirtualClock()
  const net = new FakeNetwork(clock, { random: () => 0 })
  const inputs = new InputPool(1)
  const options = {
    clock,
    inputs,
    outputs: new OutboxPool(1),
    window: new InputWindow(inputs),
    maxConnections: 1,
    keepAlive: 0,
    accept() {},
  }
  await net.host().listen({ host: '10.0.0.1', port: 1 }, options)
  await expect(net.host().listen({ host: '10.0.0.1', port: 1 }, options)).rejects.toThrow('EADDRINUSE')
})
