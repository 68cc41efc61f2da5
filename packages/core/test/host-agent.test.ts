import { virtualHost } from '@blockbraid/testkit'
import { describe, expect, it } from 'vitest'
import type { Attachment, BlockDevice, HostAgent, PathSelector, ScanReport, Transport } from '../src/index.ts'
import { BlockError, createEmitter, createHostAgent, Errno, IoOp, OK } from '../src/index.ts'
import { FakeTarget, LIMITS, VOLUME } from './support/fake-target.ts'
import { send } from './support/submit.ts'

const OTHER = 'naa.60000000000000000000000000000002'

interface FakeTransport extends Transport {
  readonly attached: Map<string, BlockDevice>
  readonly sizes: number[]
  readonly log: string[]
  /** Names of attachments whose node is in use. */
  readonly used: Set<string>
  resizeError: Error | undefined
  lose(name: string, error: Error): void
}

function fakeTransport(): FakeTransport {
  const attached = new Map<string, BlockDevice>()
  const events = new Map<string, ReturnType<typeof createEmitter<{ lost: Error }>>>()
  const sizes: number[] = []
  const log: string[] = []
  const used = new Set<string>()
  const transport: FakeTransport = {
    name: 'fake',
    attached,
    sizes,
    log,
    used,
    resizeError: undefined,
    lose: (name, error) => void events.get(name)?.emit('lost', error),
    async attach(device, { name, volume }): Promise<Attachment> {
      if (name === 'refused') throw new Error('no room')
      if (volume !== VOLUME && volume !== OTHER) throw new Error(`volume ${volume}`)
      attached.set(name, device)
      const emitter = createEmitter<{ lost: Error }>()
      events.set(name, emitter)
      return {
        node: `fake://${name}`,
        events: emitter,
        resize: async (size) => {
          if (transport.resizeError !== undefined) throw transport.resizeError
          sizes.push(size)
        },
        detach: async ({ mode = 'clean' } = {}) => {
          if (mode === 'clean' && used.has(name)) throw new BlockError('IN_USE', `fake://${name} is mounted at /mnt`)
          log.push(`${mode === 'clean' ? 'detach' : mode} ${name}`)
          attached.delete(name)
        },
      }
    },
    close: async () => {},
  }
  return transport
}

const first = (): PathSelector => {
  let path: never
  return { name: 'one', update: (paths) => void (path = paths[0] as never), select: () => path }
}

function setUp(...targets: FakeTarget[]): {
  agent: HostAgent
  host: ReturnType<typeof virtualHost>
  transport: FakeTransport
} {
  const host = virtualHost(1)
  return { agent: createHostAgent({ targets, host }), host, transport: fakeTransport() }
}

describe('discovery', () => {
  it('lists native and multipath devices, each once, joined by identity across targets', async () => {
    const { agent } = setUp(new FakeTarget(2, 'a'), new FakeTarget(2, 'b'), new FakeTarget(4, 'c', OTHER))
    const report = await agent.rescan()
    expect(report.added.length).toBe(8)
    const devices = agent.devices()
    expect(devices.filter(({ kind }) => kind === 'native').map(({ id }) => id)).toEqual(
      'a:0 a:1 b:0 b:1 c:0 c:1 c:2 c:3'.split(' '),
    )
    expect(devices.filter(({ kind }) => kind === 'multipath').map(({ id, paths }) => [id, paths.length])).toEqual([
      [VOLUME, 4],
      [OTHER, 4],
    ])
  })

  it('keeps the paths of a target that cannot be asked, and reports it', async () => {
    const target = new FakeTarget(2)
    const { agent } = setUp(target, new FakeTarget(1, 'b', OTHER))
    await agent.rescan()
    target.discover = async () => {
      throw new Error('portal is down')
    }
    const report = await agent.rescan()
    expect(report).toMatchObject({ added: [], removed: [], errors: [{ target: 'fake' }] })
    expect(agent.devices().length).toBe(5)
  })

  it('tells the serial number and the LUN of a device where all its paths tell the same', async () => {
    const [one, two] = [new FakeTarget(2, 'a'), new FakeTarget(2, 'b', OTHER)]
    one.infos = one.infos.map((info, index) => ({ ...info, serial: 'S1', lun: String(index) }))
    two.infos = two.infos.map((info, index) => ({ ...info, lun: '7', ...(index === 0 && { serial: 'S2' }) }))
    const { agent } = setUp(one, two)
    await agent.rescan()
    const told = agent.devices().map(({ id, serial, lun }) => [id, serial, lun])
    expect(told).toEqual([
      ['a:0', 'S1', '0'],
      ['a:1', 'S1', '1'],
      ['b:0', 'S2', '7'],
      ['b:1', undefined, '7'],
      [VOLUME, 'S1', undefined],
      [OTHER, undefined, '7'],
    ])
  })

  it('refuses an identity of no known form, and a path id that is offered twice', async () => {
    const target = new FakeTarget(2)
    target.infos = [{ ...target.infos[0]!, volume: 'naa.XYZ' }, target.infos[1]!, target.infos[1]!]
    const { agent } = setUp(target)
    const { errors } = await agent.rescan()
    expect(errors.map(({ error }) => error.message)).toEqual([
      'path fake:0 has the identity "naa.XYZ", which has none of the known forms',
      'path fake:1 is offered twice, by fake before',
    ])
    expect(agent.devices().length).toBe(2)
  })

  it('refuses two targets of one name', () => {
    expect(() => setUp(new FakeTarget(1), new FakeTarget(1))).toThrow('two targets are named "fake"')
  })
})

describe('pairs', () => {
  it('one volume over N paths makes one attachment', async () => {
    const target = new FakeTarget(4)
    target.prepare = (path) => void (path.auto = true)
    const { agent, host, transport } = setUp(target)
    await using pair = await host.clock.runUntil(agent.pair({ name: 'v', device: VOLUME, selector: first, transport }))
    expect([...transport.attached.keys()]).toEqual(['v'])
    expect(pair).toMatchObject({ id: 'v', volume: VOLUME, state: 'active', policy: 'one', parked: 0 })
    expect(pair.kernel.node).toBe('fake://v')
    expect(pair.paths.length).toBe(4)
  })

  it('a native device alone, without a policy, is paired too', async () => {
    const target = new FakeTarget(4)
    const { agent, host, transport } = setUp(target)
    const pair = await host.clock.runUntil(agent.pair({ name: 'n', device: 'fake:2', transport }))
    expect(pair.paths.map(({ id }) => id)).toEqual(['fake:2'])
    expect(pair.policy).toBe('')
    const sent = send(transport.attached.get('n')!)
    target.path(2).complete()
    expect(sent.status).toBe(OK)
    target.path(2).auto = true
    await host.clock.runUntil(agent.close())
  })

  it('shares a device with who opened it; the last to close ends it', async () => {
    const target = new FakeTarget(2)
    const { agent, host, transport } = setUp(target)
    const pair = await host.clock.runUntil(agent.pair({ name: 'v', device: VOLUME, transport }))
    const direct = await agent.open(VOLUME)
    expect(target.connects.length).toBe(2)
    const closing = pair.close()
    await host.clock.advance(0)
    target.completeAll()
    await host.clock.runUntil(closing)
    expect(agent.pairs).toEqual([])
    const sent = send(direct)
    target.completeAll()
    expect(sent.status).toBe(OK)
    expect(target.path(0).closed).toBe(false)
    await direct.close()
    expect(target.path(0).closed).toBe(true)
    await agent.close()
  })

  it('flushes once more when what was in flight as it closed has ended: that is acknowledged, too', async () => {
    const target = new FakeTarget(1)
    const { agent, transport, host } = setUp(target)
    const pair = await host.clock.runUntil(agent.pair({ name: 'v', device: VOLUME, transport }))
    const write = send(pair.user, IoOp.Write)
    const closing = pair.close()
    await host.clock.advance(10)
    // What was acknowledged before does not wait for what may hang.
    expect(target.path(0).held.map(({ op }) => op)).toEqual([IoOp.Write, IoOp.Flush])
    target.completeAll()
    await host.clock.advance(10)
    expect(write.status).toBe(OK)
    expect(target.path(0).held.map(({ op }) => op)).toEqual([IoOp.Flush])
    target.completeAll()
    await host.clock.runUntil(closing)
  })

  it('detaches, then flushes, then closes the paths', async () => {
    const target = new FakeTarget(1)
    const { agent, host, transport } = setUp(target)
    const pair = await host.clock.runUntil(agent.pair({ name: 'v', device: VOLUME, transport }))
    const closing = pair.close()
    await host.clock.advance(0)
    expect(transport.log).toEqual(['detach v'])
    expect(target.path(0).held.map(({ op }) => op)).toEqual([IoOp.Flush])
    expect(target.path(0).closed).toBe(false)
    target.completeAll()
    await host.clock.runUntil(closing)
    expect(target.path(0).closed).toBe(true)
    expect(pair.state).toBe('closed')
  })

  it('passes on a resize and the loss of an attachment', async () => {
    const target = new FakeTarget(1)
    const { agent, host, transport } = setUp(target)
    const pair = await host.clock.runUntil(agent.pair({ name: 'v', device: VOLUME, transport }))
    const seen: unknown[] = []
    pair.events.on('resized', (detail) => seen.push(detail))
    pair.events.on('lost', (error) => seen.push(error.message))
    target.path(0).limits = { ...LIMITS, size: 2 * LIMITS.size }
    target.path(0).events.emit('limits', target.path(0).limits)
    transport.lose('v', new Error('removed by hand'))
    expect(transport.sizes).toEqual([2 * LIMITS.size])
    expect(pair.user.limits.size).toBe(2 * LIMITS.size)
    expect(seen).toEqual([{ size: 2 * LIMITS.size }, 'removed by hand'])
  })

  it('stays as it was where the attachment refuses to go, until it is forced', async () => {
    const target = new FakeTarget(1)
    const { agent, host, transport } = setUp(target)
    const pair = await host.clock.runUntil(agent.pair({ name: 'v', device: VOLUME, transport }))
    transport.used.add('v')
    const refused = pair.close()
    expect(pair.state).toBe('closed')
    await expect(refused).rejects.toMatchObject({ code: 'IN_USE', message: 'fake://v is mounted at /mnt' })
    expect([pair.state, agent.pairs]).toEqual(['active', [pair]])
    const sent = send(pair.user)
    await host.clock.advance(0)
    target.path(0).complete()
    await host.clock.advance(0)
    expect(sent.status).toBe(OK)
    target.path(0).auto = true
    await host.clock.runUntil(pair.close({ mode: 'force' }))
    expect([pair.state, agent.pairs, transport.log]).toEqual(['closed', [], ['force v']])
    expect(target.path(0).closed).toBe(true)
  })

  it('says where an attachment cannot follow the size', async () => {
    const target = new FakeTarget(1)
    const { agent, host, transport } = setUp(target)
    const pair = await host.clock.runUntil(agent.pair({ name: 'v', device: VOLUME, transport }))
    const failures: Error[] = []
    pair.events.on('resizeFailed', (error) => failures.push(error))
    pair.events.on('lost', () => expect.unreachable())
    transport.resizeError = new BlockError('NOT_SUPPORTED', 'this kernel cannot')
    const path = target.path(0)
    path.limits = { ...LIMITS, size: 2 * LIMITS.size }
    path.events.emit('limits', path.limits)
    await host.clock.advance(0)
    expect(failures).toEqual([transport.resizeError])
    expect(pair.user.limits.size).toBe(2 * LIMITS.size)
  })

  it('tells the attachment one size at a time, the last one last', async () => {
    const target = new FakeTarget(1)
    const { agent, host, transport } = setUp(target)
    const attach = transport.attach.bind(transport)
    const told: number[] = []
    transport.attach = async (device, options) => ({
      ...(await attach(device, options)),
      // The first takes longer than those after it.
      resize: async (size) => {
        await new Promise<void>((resolve) => host.clock.after(told.length === 0 ? 100 : 10, resolve))
        told.push(size)
      },
    })
    await host.clock.runUntil(agent.pair({ name: 'v', device: VOLUME, transport }))
    const path = target.path(0)
    for (const factor of [2, 3, 4]) {
      path.limits = { ...LIMITS, size: factor * LIMITS.size }
      path.events.emit('limits', path.limits)
    }
    await host.clock.advance(1000)
    expect(told).toEqual([2 * LIMITS.size, 4 * LIMITS.size])
  })

  it('refuses bad names, taken names and unknown volumes in a sentence', async () => {
    const target = new FakeTarget(1)
    const { agent, host, transport } = setUp(target)
    await host.clock.runUntil(agent.pair({ name: 'v', device: VOLUME, transport }))
    await expect(agent.pair({ name: 'a/b', device: VOLUME, transport })).rejects.toThrow('name is "a/b"; it must be')
    await expect(agent.pair({ name: 'v', device: VOLUME, transport })).rejects.toMatchObject({ code: 'IN_USE' })
    await expect(agent.pair({ name: 'w', device: OTHER, transport })).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })

  it('are of one device per volume: one of a path beside it is refused unless it is shared', async () => {
    const target = new FakeTarget(2)
    const { agent, host, transport } = setUp(target)
    await host.clock.runUntil(agent.pair({ name: 'v', device: VOLUME, transport }))
    const again = `${VOLUME} is paired already, as v: close that pair, or set shared where two are meant`
    await expect(agent.pair({ name: 'w', device: 'fake:1', transport })).rejects.toMatchObject({
      code: 'IN_USE',
      message: `fake:1 leads to ${again.replace(' is paired', ', which is paired')}`,
    })
    // Not even a connection was made for it.
    expect(target.connects.length).toBe(2)
    await host.clock.runUntil(agent.pair({ name: 'w', device: VOLUME, transport }))
    await host.clock.runUntil(agent.pair({ name: 'x', device: 'fake:1', transport, shared: true }))
    expect([...transport.attached.keys()]).toEqual(['v', 'w', 'x'])
  })

  it('of a path make the multipath device of its volume the second, until they are closed', async () => {
    const target = new FakeTarget(2)
    target.prepare = (path) => void (path.auto = true)
    const { agent, host, transport } = setUp(target)
    const pair = await host.clock.runUntil(agent.pair({ name: 'one', device: 'fake:0', transport }))
    await expect(agent.pair({ name: 'v', device: VOLUME, transport })).rejects.toMatchObject({ code: 'IN_USE' })
    // Whoever opens a device shares it as ever.
    await host.clock.runUntil(agent.open(VOLUME))
    await host.clock.runUntil(pair.close())
    await host.clock.runUntil(agent.pair({ name: 'v', device: VOLUME, transport }))
    expect(agent.pairs.map(({ id }) => id)).toEqual(['v'])
  })

  it('leave nothing open when the transport refuses', async () => {
    const target = new FakeTarget(2)
    const { agent, host, transport } = setUp(target)
    await expect(host.clock.runUntil(agent.pair({ name: 'refused', device: VOLUME, transport }))).rejects.toThrow(
      'no room',
    )
    expect(target.path(0).closed).toBe(true)
    expect(agent.pairs).toEqual([])
    expect(host.clock.timers).toBe(0)
  })
})

describe('rescan', () => {
  it('adds and removes the paths of open devices; the attachment stays', async () => {
    const target = new FakeTarget(3)
    const all = target.infos
    target.infos = all.slice(0, 2)
    const { agent, host, transport } = setUp(target)
    const pair = await host.clock.runUntil(agent.pair({ name: 'v', device: VOLUME, transport }))
    target.infos = all.slice(1)
    const report = await agent.rescan()
    await host.clock.advance(0)
    expect(report).toMatchObject({ added: ['fake:2'], removed: ['fake:0'] })
    expect(pair.paths.map(({ id, state }) => [id, state])).toEqual([
      ['fake:1', 'up'],
      ['fake:2', 'up'],
    ])
    target.infos = all
    await agent.rescan()
    await host.clock.advance(0)
    expect(pair.paths.length).toBe(3)
    expect([...transport.attached.keys()]).toEqual(['v'])
  })

  it('drops a path whose number now leads to another volume', async () => {
    const target = new FakeTarget(2)
    const { agent, host, transport } = setUp(target)
    const pair = await host.clock.runUntil(agent.pair({ name: 'v', device: VOLUME, transport }))
    target.infos = [target.infos[0]!, { ...target.infos[1]!, volume: OTHER }]
    const report = await agent.rescan()
    await host.clock.advance(0)
    expect(report).toMatchObject({ added: ['fake:1'], removed: ['fake:1'] })
    expect(pair.paths.map(({ id }) => id)).toEqual(['fake:0'])
    expect(agent.devices().filter(({ kind }) => kind === 'multipath').length).toBe(2)
  })

  it('follows what a target announces', async () => {
    const target = new FakeTarget(2)
    const all = target.infos
    target.infos = all.slice(0, 1)
    const { agent, host, transport } = setUp(target)
    const pair = await host.clock.runUntil(agent.pair({ name: 'v', device: VOLUME, transport }))
    target.infos = all
    const reports: ScanReport[] = []
    agent.events.on('rescanned', (report) => reports.push(report))
    for (let index = 0; index < 10; index++) target.events.emit('changed', 'a port came up')
    await host.clock.advance(100)
    expect(reports.map(({ added }) => added)).toEqual([['fake:1']])
    expect(pair.paths.length).toBe(2)
  })

  it('keeps the device of a volume that is gone: its I/O waits, then fails', async () => {
    const target = new FakeTarget(1)
    const { agent, host, transport } = setUp(target)
    const pair = await host.clock.runUntil(
      agent.pair({ name: 'v', device: VOLUME, transport, multipath: { noPathTimeout: 1000 } }),
    )
    target.infos = []
    await agent.rescan()
    await host.clock.advance(0)
    expect(pair.state).toBe('stalled')
    const sent = send(pair.user)
    await host.clock.advance(1001)
    expect(sent.status).toBe(Errno.EIO)
    expect([...transport.attached.keys()]).toEqual(['v'])
  })
})

describe('close', () => {
  it('ends pairs, devices and targets, once, and refuses what comes later', async () => {
    const target = new FakeTarget(2)
    let closes = 0
    target.close = async () => void closes++
    const { agent, host, transport } = setUp(target)
    await host.clock.runUntil(agent.pair({ name: 'v', device: VOLUME, transport }))
    await agent.open('fake:1')
    const closing = Promise.all([agent.close(), agent.close()])
    await host.clock.advance(0)
    target.completeAll()
    await host.clock.runUntil(closing)
    expect(closes).toBe(1)
    expect(transport.attached.size).toBe(0)
    await expect(agent.rescan()).rejects.toMatchObject({ code: 'CLOSED' })
    expect(host.clock.timers).toBe(0)
  })

  it('leaves kernel nodes that are in use, and forces them where it is told so', async () => {
    for (const [mode, log] of [
      [undefined, ['detach w', 'leave v']],
      ['leave', ['leave v', 'leave w']],
      ['force', ['force v', 'force w']],
    ] as const) {
      const [one, two] = [new FakeTarget(1, 'a'), new FakeTarget(1, 'b', OTHER)]
      const { agent, host, transport } = setUp(one, two)
      for (const [name, device] of [
        ['v', VOLUME],
        ['w', OTHER],
      ] as const)
        await host.clock.runUntil(agent.pair({ name, device, transport }))
      transport.used.add('v')
      one.path(0).auto = true
      two.path(0).auto = true
      await host.clock.runUntil(agent.close({ mode }))
      expect(transport.log).toEqual(log)
      expect([one.path(0).closed, two.path(0).closed]).toEqual([true, true])
    }
  })

  it('of a pair tells that it waits for a path, and nothing of paths that it ends', async () => {
    const target = new FakeTarget(2)
    const { agent, host, transport } = setUp(target)
    const pair = await host.clock.runUntil(agent.pair({ name: 'v', device: VOLUME, transport }))
    const direct = await agent.open(VOLUME)
    const seen: string[] = []
    for (const event of ['stalled', 'resumed', 'path'] as const) pair.events.on(event, () => seen.push(event))
    const hurry = new AbortController()
    const closing = pair.close({ signal: hurry.signal }).catch((error: unknown) => error)
    await host.clock.advance(0)
    for (const index of [0, 1]) {
      target.refuse.set(`fake:${index}`, 'down')
      target.path(index).events.emit('down', new Error('gone'))
    }
    expect(seen).toEqual(['stalled'])
    hurry.abort()
    await host.clock.runUntil(closing)
    target.refuse.clear()
    await host.clock.advance(1000)
    expect(direct.limits.size).toBe(LIMITS.size)
    expect(seen).toEqual(['stalled'])
    await host.clock.runUntil(agent.close({ signal: AbortSignal.abort() }).catch(() => {}))
  })

  it('ends though every path is down, when the signal fires', async () => {
    const target = new FakeTarget(1)
    const { agent, host, transport } = setUp(target)
    const pair = await host.clock.runUntil(agent.pair({ name: 'v', device: VOLUME, transport }))
    target.refuse.set('fake:0', 'down')
    target.path(0).events.emit('down', new Error('gone'))
    const parked = send(pair.user, IoOp.Write)
    const controller = new AbortController()
    const closing = agent.close({ signal: controller.signal }).catch((error: unknown) => error)
    await host.clock.advance(100)
    controller.abort()
    await host.clock.runUntil(closing)
    expect(parked.status).toBe(Errno.ESHUTDOWN)
    expect(host.clock.timers).toBe(0)
  })
})
