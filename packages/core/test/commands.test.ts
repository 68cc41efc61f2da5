import { describe, expect, it } from 'vitest'
import type { CommandOptions } from '../src/index.ts'
import { BlockError, userDevice } from '../src/index.ts'
import type { Rig } from './support/rig.ts'
import { FakeTarget, open, VOLUME } from './support/rig.ts'
import type { ToyAnswer, ToyCommand } from './support/toy-commands.ts'
import { change, look, ok, reserve, toyCommands } from './support/toy-commands.ts'

const parameters = new Uint8Array(24).fill(7)
const elsewhere = (text: string): ToyAnswer => ({ verdict: 'elsewhere', text })
const again: ToyAnswer = { verdict: 'again', text: 'it has news' }
const lost = (): BlockError => new BlockError('IO_FAILED', 'the connection was lost')

/** One command that reached a path. */
interface Seen {
  readonly path: string
  readonly command: ToyCommand
  readonly data: Uint8Array | number
  readonly options: CommandOptions
}
/** What a path does with a command: an answer, an error, or nothing until the signal fires. */
type Script = ToyAnswer | Error | 'nothing'

/** A device whose paths answer commands as `scripts` say, each its last script again and again. */
async function openToy(...scripts: (Script[] | undefined)[]): Promise<Rig & { seen: Seen[] }> {
  const seen: Seen[] = []
  const target = new FakeTarget(scripts.length)
  target.prepare = (path) => {
    const script = scripts[Number(path.id.split(':')[1])]?.slice()
    if (script === undefined) return
    path.commands = toyCommands((command, data, options) => {
      seen.push({ path: path.id, command, data, options })
      const next = script.length > 1 ? script.shift() : script[0]
      if (next instanceof Error) return Promise.reject(next)
      if (next === 'nothing') return new Promise(() => {})
      return Promise.resolve(next as ToyAnswer)
    })
  }
  return { ...(await open(scripts.length, {}, target)), seen }
}

const pathsOf = (seen: readonly Seen[]): string[] => seen.map(({ path }) => path)
const textOf = (answer: unknown): string => (answer as ToyAnswer).text

describe('a command', () => {
  it('goes through a usable path, and its answer comes back as it is', async () => {
    const no: ToyAnswer = { verdict: 'ran', text: 'it said no' }
    const { device, seen } = await openToy([no], [ok])
    expect(await device.sendCommand('toy', reserve, parameters)).toBe(no)
    expect(seen).toMatchObject([{ path: 'fake:0', command: reserve, data: parameters }])
  })

  it('goes through an optimized path where there is one, and through a standby one where there is no other', async () => {
    const { device, target, seen } = await openToy([ok], [ok])
    target.path(0).setAccess('non-optimized')
    await device.sendCommand('toy', look, 96)
    target.path(1).setAccess('unavailable')
    await device.sendCommand('toy', look, 96)
    target.path(0).setAccess('standby')
    expect(device.state).toBe('stalled')
    await device.sendCommand('toy', look, 96)
    expect(pathsOf(seen)).toEqual(['fake:1', 'fake:0', 'fake:0'])
  })

  it('goes through the path that is named, and no other', async () => {
    const { device, seen, host, target } = await openToy([ok], [lost(), ok])
    await expect(device.sendCommand('toy', look, 96, { path: 'fake:1' })).rejects.toMatchObject({ code: 'IO_FAILED' })
    expect(textOf(await device.sendCommand('toy', look, 96, { path: 'fake:1' }))).toBe('the answer')
    expect(pathsOf(seen)).toEqual(['fake:1', 'fake:1'])
    await expect(device.sendCommand('toy', look, 96, { path: 'fake:7' })).rejects.toMatchObject({ code: 'NOT_FOUND' })
    target.refuse.set('fake:1', 'cable pulled')
    target.path(1).events.emit('down', new Error('cable pulled'))
    await host.clock.advance(500)
    await expect(device.sendCommand('toy', look, 96, { path: 'fake:1' })).rejects.toMatchObject({
      code: 'NO_PATH',
      message: 'path fake:1 is waiting: cable pulled',
    })
  })

  it('moves when its path fails before an answer, if it may run twice', async () => {
    const { device, seen } = await openToy([lost()], [new BlockError('CLOSED', 'closed')], [ok])
    expect(textOf(await device.sendCommand('toy', look, 96))).toBe('the answer')
    expect(pathsOf(seen)).toEqual(['fake:0', 'fake:1', 'fake:2'])
  })

  it('does not move then if it may not run twice, and says that it may have run', async () => {
    const { device, seen } = await openToy([lost()], [ok])
    await expect(device.sendCommand('toy', reserve, parameters)).rejects.toMatchObject({
      code: 'IO_FAILED',
      message: 'path fake:0 failed before it answered (the connection was lost); the command may have run',
    })
    expect(pathsOf(seen)).toEqual(['fake:0'])
  })

  it('moves where the answer says that it did not run, also one that may not run twice', async () => {
    const { device, seen } = await openToy([elsewhere('busy')], [ok])
    expect(textOf(await device.sendCommand('toy', reserve, parameters))).toBe('the answer')
    expect(pathsOf(seen)).toEqual(['fake:0', 'fake:1'])
  })

  it('gives the last answer where it ran on no path', async () => {
    const { device, seen } = await openToy([elsewhere('busy')], [elsewhere('standby')])
    expect(textOf(await device.sendCommand('toy', reserve, parameters))).toBe('standby')
    expect(pathsOf(seen)).toEqual(['fake:0', 'fake:1'])
    const half = await openToy([elsewhere('busy')], [lost()])
    expect(textOf(await half.device.sendCommand('toy', look, 96))).toBe('busy')
  })

  it('is sent again where the answer says so, on the same path', async () => {
    const { device, seen } = await openToy([again, again, ok], [ok])
    expect(textOf(await device.sendCommand('toy', reserve, parameters))).toBe('the answer')
    expect(pathsOf(seen)).toEqual(['fake:0', 'fake:0', 'fake:0'])
  })

  it('is not sent for ever to a path that always says so', async () => {
    const { device, seen } = await openToy([again])
    expect(await device.sendCommand('toy', reserve, parameters)).toBe(again)
    expect(seen.length).toBe(9)
  })

  it('passes errors of the path on that are none of the connection', async () => {
    const { device, seen } = await openToy([new BlockError('NOT_SUPPORTED', 'no long CDBs')], [ok])
    await expect(device.sendCommand('toy', look, 96)).rejects.toMatchObject({
      code: 'NOT_SUPPORTED',
      message: 'no long CDBs',
    })
    expect(pathsOf(seen)).toEqual(['fake:0'])
  })

  it('goes through the paths that take commands of its protocol, where others do not', async () => {
    const { device, seen } = await openToy(undefined, [ok])
    await device.sendCommand('toy', look, 96)
    expect(pathsOf(seen)).toEqual(['fake:1'])
    await expect(device.sendCommand('toy', look, 96, { path: 'fake:0' })).rejects.toMatchObject({
      code: 'NOT_SUPPORTED',
      message: 'path fake:0 takes no TOY commands',
    })
  })

  it('goes to paths of its own protocol, where a device has paths of several', async () => {
    const target = new FakeTarget(3)
    target.prepare = (path) => {
      const protocol = path.id === 'fake:1' ? 'other' : 'toy'
      path.commands = toyCommands(async () => ({ ...elsewhere(`${path.id}, ${protocol}`) }), protocol)
    }
    const { device } = await open(3, {}, target)
    expect(textOf(await device.sendCommand('toy', look))).toBe('fake:2, toy')
    expect(textOf(await device.sendCommand('other', look))).toBe('fake:1, other')
    await expect(device.sendCommand('third', look)).rejects.toMatchObject({
      code: 'NOT_SUPPORTED',
      message: `no path to volume ${VOLUME} that is up takes THIRD commands`,
    })
    await expect(device.sendCommand('toy', look, 0, { path: 'fake:1' })).rejects.toMatchObject({
      code: 'NOT_SUPPORTED',
      message: 'path fake:1 takes no TOY commands',
    })
  })

  it('is refused where no path takes any, and where none is up', async () => {
    const { device, target } = await openToy(undefined, undefined)
    await expect(device.sendCommand('toy', look, 96)).rejects.toMatchObject({
      code: 'NOT_SUPPORTED',
      message: `no path to volume ${VOLUME} that is up takes TOY commands`,
    })
    for (const index of [0, 1]) target.path(index).events.emit('down', new Error('gone'))
    await expect(device.sendCommand('toy', look, 96)).rejects.toMatchObject({
      code: 'NO_PATH',
      message: `no path to volume ${VOLUME} is up`,
    })
  })

  it('ends after its time, whatever the paths do, and gives them what is left', async () => {
    const { device, host, seen } = await openToy(['nothing'])
    const sent = device.sendCommand('toy', look, 96, { timeout: 700 })
    const ended = expect(sent).rejects.toMatchObject({
      code: 'TIMED_OUT',
      message: 'no answer within 700 ms; the command may have run',
    })
    await host.clock.advance(699)
    expect(seen[0]?.options.signal?.aborted).toBe(false)
    await host.clock.advance(1)
    await ended
    expect(seen[0]?.options).toMatchObject({ timeout: 700 })
    expect(seen[0]?.options.signal?.aborted).toBe(true)
  })

  it('has 30 seconds for all its tries together', async () => {
    const { device, host, target, seen } = await openToy([ok], ['nothing'])
    let fail: (error: Error) => void = () => {}
    target.path(0).commands = toyCommands((command, data, options) => {
      seen.push({ path: 'fake:0', command, data, options })
      return new Promise((_resolve, reject) => (fail = reject))
    })
    const ended = expect(device.sendCommand('toy', look, 96)).rejects.toMatchObject({ code: 'TIMED_OUT' })
    await host.clock.advance(10_000)
    fail(lost())
    await host.clock.advance(0)
    expect(seen.map(({ options }) => options.timeout)).toEqual([30_000, 20_000])
    await host.clock.advance(20_000)
    await ended
  })

  it('leaves no timer behind', async () => {
    const { device, host } = await openToy([ok])
    const before = host.clock.timers
    await device.sendCommand('toy', look, 96)
    expect(host.clock.timers).toBe(before)
  })

  it('is called off by its signal, before and while it is under way', async () => {
    const { device, seen } = await openToy(['nothing'], [ok])
    const stop = new AbortController()
    const ended = expect(device.sendCommand('toy', look, 96, { signal: stop.signal })).rejects.toMatchObject({
      code: 'ABORTED',
    })
    await Promise.resolve()
    stop.abort()
    await ended
    expect(seen[0]?.options.signal?.aborted).toBe(true)
    await expect(device.sendCommand('toy', look, 96, { signal: stop.signal })).rejects.toMatchObject({
      code: 'ABORTED',
    })
    expect(pathsOf(seen)).not.toContain('fake:1')
  })

  it('that is lost late fails nothing and guards nothing where its path is fenced and connected again', async () => {
    const target = new FakeTarget(2)
    let lose = (_error: Error): void => {}
    target.prepare = (path) => {
      path.commands = toyCommands(() => new Promise((_resolve, reject) => (lose = reject)))
    }
    const { device, host } = await open(2, {}, target)
    const ended = expect(device.sendCommand('toy', change)).rejects.toMatchObject({ code: 'IO_FAILED' })
    await host.clock.advance(0)
    target.path(0).events.emit('down', new Error('cable pulled'))
    await host.clock.advance(1000)
    expect(device.paths.map(({ state, failures }) => [state, failures])).toEqual([
      ['up', 1],
      ['up', 0],
    ])
    lose(lost())
    await ended
    expect(device.paths.map(({ state, failures }) => [state, failures])).toEqual([
      ['up', 1],
      ['up', 0],
    ])
    expect(device.guards).toEqual([])
  })

  it('ends with its device', async () => {
    const { device, host } = await openToy(['nothing'])
    const ended = expect(device.sendCommand('toy', look, 96)).rejects.toMatchObject({ code: 'CLOSED' })
    await host.clock.runUntil(device.close())
    await ended
    await expect(device.sendCommand('toy', look, 96)).rejects.toMatchObject({ code: 'CLOSED' })
  })
})

describe('a command to a user device', () => {
  it('goes on as it is', async () => {
    const { device, host, seen } = await openToy([ok], [ok])
    const user = userDevice(device, host.clock)
    expect(textOf(await user.sendCommand('toy', look, 96, { path: 'fake:1', timeout: 5 }))).toBe('the answer')
    expect(seen).toMatchObject([{ path: 'fake:1', command: look, data: 96, options: { timeout: 5 } }])
    await user.sendCommand('toy', reserve)
    expect(seen[1]).toMatchObject({ path: 'fake:0', data: 0 })
  })

  it.each([0, Number.NaN, 2 ** 31])('with a time-out of %d ms is a TypeError', async (timeout) => {
    const { device, host, seen } = await openToy([ok])
    const sent = userDevice(device, host.clock).sendCommand('toy', look, 0, { timeout })
    await expect(sent).rejects.toThrow(new TypeError(`timeout is ${timeout}; it must be 1 to 2147483647 milliseconds`))
    expect(seen).toEqual([])
  })

  it('of another kind is refused', async () => {
    const { device, host } = await open(1)
    const plain = { limits: device.limits, submit: () => {}, close: async () => {} }
    const user = userDevice(plain, host.clock)
    await expect(user.sendCommand('toy', look)).rejects.toMatchObject({
      code: 'NOT_SUPPORTED',
      message: 'this device takes no TOY commands',
    })
  })

  it('ends when that is closed, though others use the device below', async () => {
    const { device, host, seen } = await openToy(['nothing'])
    const user = userDevice(device, host.clock, async () => {})
    const ended = expect(user.sendCommand('toy', look, 96)).rejects.toMatchObject({ code: 'CLOSED' })
    await host.clock.runUntil(user.close())
    await ended
    await expect(user.sendCommand('toy', look, 96)).rejects.toMatchObject({ code: 'CLOSED' })
    expect(seen.length).toBe(1)
    expect(device.state).toBe('active')
  })
})
