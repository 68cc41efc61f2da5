import { describe, expect, it } from 'vitest'
import type { PathTrouble, TroubleDetail } from '../src/index.ts'
import { BlockError } from '../src/index.ts'
import { LOST, open, send } from './support/rig.ts'

const trouble = (kind: string, count = 1, severity: PathTrouble['severity'] = 'error'): PathTrouble => ({
  kind,
  text: `${kind} (03/11/00); read at block 8, LUN 0`,
  severity,
  count,
})

describe('what goes wrong on a path', () => {
  it('is counted by kind, told with the path, and is its reason for a minute', async () => {
    const { device, target, host } = await open(2)
    const told: TroubleDetail[] = []
    device.events.on('trouble', (detail) => told.push(detail))
    expect(device.paths[0]).not.toHaveProperty('troubles')
    target.path(0).events.emit('trouble', trouble('medium error'))
    target.path(0).events.emit('trouble', trouble('busy', 7, 'warning'))
    target.path(0).events.emit('trouble', trouble('medium error', 418))
    expect(told.map(({ path, kind, count }) => [path, kind, count])).toEqual([
      ['fake:0', 'medium error', 1],
      ['fake:0', 'busy', 7],
      ['fake:0', 'medium error', 418],
    ])
    expect(device.paths[0]).toMatchObject({
      state: 'up',
      reason: 'medium error (03/11/00); read at block 8, LUN 0',
      troubles: { 'medium error': 419, busy: 7 },
    })
    expect(device.paths[1]).toMatchObject({ reason: '' })
    await host.clock.advance(61_000)
    expect(device.paths[0]).toMatchObject({ reason: '', troubles: { 'medium error': 419, busy: 7 } })
  })

  it('is why the path is down, in the words of the path', async () => {
    const { device, target } = await open(2)
    const why = 'the connection was reset (ECONNRESET)'
    const sent = send(device)
    const [path] = [target.path(0), target.path(1)].filter(({ held }) => held.length > 0)
    path!.failure = new BlockError('CONNECT_FAILED', why)
    path!.fence = new Promise(() => {})
    path!.complete(LOST)
    const { reason, troubles } = device.paths.find(({ id }) => id === path!.id)!
    expect({ reason, troubles }).toEqual({ reason: why, troubles: { 'connection lost': 1 } })
    target.completeAll()
    expect(sent.status).toBe(0)
  })

  it('is told as the status of the I/O where the path has no words for it', async () => {
    const { device, target } = await open(1)
    target.path(0).fence = new Promise(() => {})
    send(device)
    target.path(0).complete(LOST)
    expect(device.paths[0]?.reason).toBe('an I/O ended with EIO (path error)')
    expect(device.paths[0]).not.toHaveProperty('troubles')
  })

  it.each([
    [new BlockError('TIMED_OUT', 'x'), { 'no answer in time': 1 }],
    [new BlockError('IDENTITY_CHANGED', 'x'), { 'another volume': 1 }],
    [new BlockError('IO_FAILED', 'aborted command'), undefined],
    [new Error('x'), undefined],
  ])('is counted where the path goes down by itself: %s', async (error, troubles) => {
    const { device, target } = await open(1)
    target.path(0).fence = new Promise(() => {})
    target.path(0).events.emit('down', error)
    expect(device.paths[0]?.troubles).toEqual(troubles)
  })

  it('is counted where an I/O has no answer for too long', async () => {
    const { device, host } = await open(1, { multipath: { ioTimeout: 1000 } })
    send(device)
    await host.clock.advance(2000)
    expect(device.paths[0]?.troubles).toEqual({ 'no answer in time': 1 })
  })

  it('is counted under one name where a path makes up ever new kinds', async () => {
    const { device, target } = await open(1)
    for (let n = 0; n < 1000; n++) target.path(0).events.emit('trouble', trouble(`error ${n}`))
    const { troubles = {} } = device.paths[0]!
    expect(Object.keys(troubles)).toHaveLength(33)
    expect(troubles['other']).toBe(1000 - 32)
  })
})
