import type { Io } from '@blockbraid/core'
import { Errno, Io as IoClass } from '@blockbraid/core'
import { describe, expect, it } from 'vitest'
import { Barrier } from '../../src/kernel/barrier.ts'
import { TestDevice } from '../support/device.ts'

function io(done: (status: number) => void = () => {}): Io {
  const made = new IoClass()
  made.length = 512
  made.done = (_, status) => done(status)
  return made
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('barrier', () => {
  it('is not there with one connection that lives', () => {
    const device = new TestDevice()
    const barrier = new Barrier(false)
    barrier.gate(device).submit(io())
    expect(device.log).toHaveLength(1)
  })

  it('starts nothing, on any connection, before all that died is done', async () => {
    const device = new TestDevice()
    const barrier = new Barrier(false)
    const gates = [barrier.gate(device), barrier.gate(device)]
    const first = Promise.withResolvers<void>()
    const second = Promise.withResolvers<void>()
    barrier.holdUntil(first.promise)
    barrier.holdUntil(second.promise)
    for (const gate of gates) gate.submit(io())
    first.resolve()
    for (let i = 0; i < 5; i++) await turn()
    expect(device.log).toHaveLength(0)
    second.resolve()
    await turn()
    expect(device.log).toHaveLength(2)
  })

  it('waits for two looks at the sockets where there are several connections', async () => {
    const device = new TestDevice()
    const barrier = new Barrier(true)
    const gate = barrier.gate(device)
    gate.submit(io())
    await turn()
    expect(device.log).toHaveLength(0)
    // The news of a dead connection comes in time.
    const settled = Promise.withResolvers<void>()
    barrier.holdUntil(settled.promise)
    for (let i = 0; i < 5; i++) await turn()
    expect(device.log).toHaveLength(0)
    settled.resolve()
    for (let i = 0; i < 2; i++) await turn()
    expect(device.log).toHaveLength(1)
    gate.submit(io())
    for (let i = 0; i < 2; i++) await turn()
    expect(device.log).toHaveLength(2)
  })

  it('looks twice for each request, whenever the one before came', async () => {
    const device = new TestDevice()
    const gate = new Barrier(true).gate(device)
    gate.submit(io())
    await turn()
    gate.submit(io())
    await turn()
    expect(device.log).toHaveLength(1)
    await turn()
    expect(device.log).toHaveLength(2)
  })

  it('looks again after the last that died is done: one more may have, unseen', async () => {
    const device = new TestDevice()
    const barrier = new Barrier(true)
    const gate = barrier.gate(device)
    const first = Promise.withResolvers<void>()
    const second = Promise.withResolvers<void>()
    barrier.holdUntil(first.promise)
    gate.submit(io())
    first.resolve()
    await turn()
    barrier.holdUntil(second.promise)
    for (let i = 0; i < 5; i++) await turn()
    expect(device.log).toHaveLength(0)
    second.resolve()
    for (let i = 0; i < 3; i++) await turn()
    expect(device.log).toHaveLength(1)
  })

  it('drops what a connection that died had not started', async () => {
    const device = new TestDevice()
    const barrier = new Barrier(false)
    const settled = Promise.withResolvers<void>()
    barrier.holdUntil(settled.promise)
    const gate = barrier.gate(device)
    const statuses: number[] = []
    gate.submit(io((status) => statuses.push(status)))
    gate.drop()
    expect(statuses).toEqual([Errno.ESHUTDOWN])
    settled.resolve()
    await turn()
    expect(device.log).toHaveLength(0)
  })
})
