import { describe, expect, it } from 'vitest'
import { resetThroughSibling } from '../../src/controller/cross-reset.ts'
import { DNR } from '../../src/nvme/status.ts'
import { resetLog } from '../nvme/layouts.ts'
import { drive, ScriptedController } from './drive.ts'

const other = { id: 0x1234, instance: 7, instanceRandom: '0123456789abcdef' }
const mine = (state: number) => ({ id: 0x1234, instance: 7, state })

/** A sibling whose log has `logs`, one after another, the last again and again. */
function sibling(...logs: Uint8Array[]): ScriptedController {
  const controller = new ScriptedController()
  controller.replace['log 1e'] = () => ({
    data: logs.length > 1 ? (logs.shift() as Uint8Array) : (logs[0] as Uint8Array),
  })
  return controller
}

describe('a reset of a controller through its sibling', () => {
  it('is over when the answer says so', () => {
    const controller = sibling(resetLog())
    controller.replace['Cross-Controller Reset'] = () => ({ result: 1 })
    drive(resetThroughSibling(other, 5000), controller)
    expect(controller.names).toEqual(['log 1e', 'Cross-Controller Reset'])
  })

  it('is over when the log says so, without any event', () => {
    const controller = sibling(
      resetLog(),
      resetLog(mine(0)),
      resetLog(mine(0)),
      resetLog({ ...mine(1), id: 9 }, mine(1)),
    )
    drive(resetThroughSibling(other, 5000), controller)
    expect(controller.names).toEqual(['log 1e', 'Cross-Controller Reset', 'log 1e', 'log 1e', 'log 1e'])
    expect(controller.paused).toBe(20 + 40)
  })

  it('is not proven by the end of another, nor of another instance', () => {
    const controller = sibling(resetLog({ ...mine(1), id: 9 }, { ...mine(1), instance: 8 }))
    expect(() => drive(resetThroughSibling(other, 5000), controller)).toThrow(
      'controller 4660 was not reset within 5000 ms',
    )
    expect(controller.paused).toBe(5000)
  })

  it('is not proven by an entry that stood there before it was asked for', () => {
    const controller = sibling(resetLog(mine(1)), resetLog(mine(1)), resetLog())
    expect(() => drive(resetThroughSibling(other, 100), controller)).toThrow('was not reset within 100 ms')
    expect(controller.names.slice(0, 3)).toEqual(['log 1e', 'log 1e', 'Cross-Controller Reset'])
    // The second read had entries of resets that are over removed.
    expect(controller.sent.slice(0, 2).map(({ dword }) => (dword >>> 8) & 0x7f)).toEqual([0, 1])
  })

  it('that is under way already is waited for', () => {
    const controller = sibling(resetLog(), resetLog(mine(1)))
    controller.replace['Cross-Controller Reset'] = () => ({ status: 0x13f })
    drive(resetThroughSibling(other, 5000), controller)
    expect(controller.names).toEqual(['log 1e', 'Cross-Controller Reset', 'log 1e'])
  })

  it('is asked for again when there are too many, or the log is full', () => {
    const controller = sibling(resetLog())
    const answers = [{ status: 0x141 }, { status: 0x140 }, { result: 1 }]
    controller.replace['Cross-Controller Reset'] = () => answers.shift()
    drive(resetThroughSibling(other, 5000), controller)
    expect(controller.names.filter((name) => name !== 'log 1e')).toHaveLength(3)
    expect(controller.paused).toBe(20 + 40)
  })

  it('that there are too many of for ever ends in time', () => {
    const controller = sibling(resetLog())
    controller.replace['Cross-Controller Reset'] = () => ({ status: 0x141 })
    expect(() => drive(resetThroughSibling(other, 1000), controller)).toThrow('was not reset within 1000 ms')
  })

  it('that failed is no proof', () => {
    const controller = sibling(resetLog(), resetLog(mine(2)))
    expect(() => drive(resetThroughSibling(other, 5000), controller)).toThrow(
      'the reset of controller 4660 through another one failed',
    )
  })

  it('that is refused says why', () => {
    const controller = sibling(resetLog())
    controller.replace['Cross-Controller Reset'] = () => ({ status: 0x11f | DNR })
    expect(() => drive(resetThroughSibling(other, 5000), controller)).toThrow(
      'the cross-controller reset of controller 4660 failed: invalid controller identifier (status 1/1fh, do not retry)',
    )
  })
})
