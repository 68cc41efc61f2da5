import { virtualHost } from '@blockbraid/testkit'
import { describe, expect, it } from 'vitest'
import type { Attachment, DiscoverOptions, HostAgent, PathInfo, ScanReport, Transport } from '../src/index.ts'
import { BlockError, createEmitter, createHostAgent } from '../src/index.ts'
import { FakeTarget, VOLUME } from './support/fake-target.ts'
import { send } from './support/submit.ts'

const OTHER = 'naa.60000000000000000000000000000002'
const SECOND = 1000

/** A target that answers, refuses or is silent, and counts how often it is asked. */
class Moody extends FakeTarget {
  mood: 'well' | 'refuses' | 'silent' = 'well'
  asked: number[] = []
  notes: { place: string; text: string; missing: boolean }[] = []
  clock = virtualHost(1).clock

  override async discover({ signal, note }: DiscoverOptions = {}): Promise<readonly PathInfo[]> {
    this.asked.push(this.clock.now() / 1000)
    if (this.mood === 'refuses') throw new BlockError('CONNECT_FAILED', 'connection refused')
    if (this.mood === 'silent') {
      await new Promise((_resolve, reject) => signal?.addEventListener('abort', () => reject(new Error('given up'))))
    }
    for (const one of this.notes) note?.(one)
    return this.infos
  }
}

function attachments(): Transport & { names: string[] } {
  const names: string[] = []
  return {
    name: 'fake',
    names,
    async attach(_device, { name }): Promise<Attachment> {
      names.push(name)
      return { node: name, events: createEmitter(), resize: async () => {}, detach: async () => {} }
    },
    close: async () => {},
  }
}

function setUp(targets: Moody[], expected: string[] = []) {
  const host = virtualHost(1)
  for (const target of targets) {
    target.clock = host.clock
    target.prepare = (path) => void (path.auto = true)
  }
  const agent = createHostAgent({ targets, host, expected })
  const reports: ScanReport[] = []
  agent.events.on('rescanned', (report) => reports.push(report))
  return { host, agent, reports, transport: attachments() }
}

const volumes = (agent: HostAgent): string[] =>
  agent.devices().flatMap(({ kind, id }) => (kind === 'multipath' ? [id] : []))

describe('a target that does not answer', () => {
  it('keeps a rescan waiting for a second after another has, and is heard when it does', async () => {
    const [well, silent] = [new Moody(1, 'a'), new Moody(1, 'b', OTHER)]
    const { host, agent, reports } = setUp([well, silent])
    let answer: (infos: readonly PathInfo[]) => void = () => {}
    silent.discover = () => new Promise((resolve) => (answer = resolve))
    const rescan = agent.rescan()
    const { added, errors } = await host.clock.runUntil(rescan)
    expect(host.clock.now()).toBe(SECOND * 1000)
    expect(added).toEqual(['a:0'])
    expect(errors).toMatchObject([{ target: 'b', error: { code: 'TIMED_OUT' } }])
    expect(agent.missing).toMatchObject([{ target: 'b', place: '', text: expect.stringContaining('not answered yet') }])
    answer(silent.infos)
    await host.clock.advance(0)
    expect(reports).toMatchObject([{ added: ['b:0'], removed: [], errors: [] }])
    expect(agent.missing).toEqual([])
    expect(host.clock.timers).toBe(0)
  })

  it('keeps nobody waiting who opens, pairs or takes down a volume of another', async () => {
    const [well, silent] = [new Moody(1, 'a'), new Moody(1, 'b', OTHER)]
    const { host, agent, transport } = setUp([well, silent])
    await agent.rescan()
    silent.mood = 'silent'
    void agent.rescan().catch(() => {})
    const before = host.clock.now()
    const pair = await host.clock.runUntil(agent.pair({ name: 'v', device: VOLUME, transport }))
    await host.clock.runUntil(pair.close())
    expect(host.clock.now()).toBe(before)
  })

  it('is given up in the end; what it says after that does not undo what it said later', async () => {
    const target = new Moody(2)
    const { host, agent } = setUp([target])
    const answers: ((infos: readonly PathInfo[]) => void)[] = []
    target.discover = () => new Promise((resolve) => answers.push(resolve))
    const first = agent.rescan()
    expect((await host.clock.runUntil(first)).errors[0]?.error.message).toBe('fake did not answer within 30000 ms')
    await host.clock.advance(2 * SECOND)
    expect(answers.length).toBe(2)
    answers[1]!(target.infos)
    await host.clock.advance(0)
    answers[0]!([])
    await host.clock.advance(SECOND)
    expect(volumes(agent)).toEqual([VOLUME])
  })

  it('is asked again with more and more time between, and found within 15 s of its return', async () => {
    const [well, absent] = [new Moody(1, 'a'), new Moody(1, 'b', OTHER)]
    absent.mood = 'refuses'
    const { host, agent, reports } = setUp([well, absent])
    await host.clock.runUntil(agent.rescan())
    expect(agent.missing).toEqual([{ target: 'b', place: '', text: 'connection refused', since: 0 }])
    await host.clock.advance(120 * SECOND)
    const waits = absent.asked.slice(1).map((at, index) => at - absent.asked[index]!)
    expect(waits[0]).toBeLessThanOrEqual(SECOND)
    expect(Math.max(...waits)).toBeLessThanOrEqual(10 * SECOND)
    expect(waits.at(-1)).toBeGreaterThanOrEqual(5 * SECOND)
    // Nobody else is asked for it, and nothing is told as long as nothing changes.
    expect(well.asked.length).toBe(1)
    expect(reports).toEqual([])
    absent.mood = 'well'
    await host.clock.advance(15 * SECOND)
    expect(volumes(agent)).toEqual([VOLUME, OTHER])
    expect(reports).toMatchObject([{ added: ['b:0'], errors: [] }])
    const { length } = absent.asked
    await host.clock.advance(120 * SECOND)
    expect(absent.asked.length).toBe(length)
    expect(host.clock.timers).toBe(0)
  })
})

describe('what should be there and is not', () => {
  it('is what a target notes as missing: it is told once, and asked for until it is there', async () => {
    const target = new Moody(1)
    const note = { place: '10.0.0.2:3260', text: 'connection refused', missing: true }
    target.notes = [note, { place: 'lun7', text: 'is no disk', missing: false }]
    const { host, agent, reports } = setUp([target])
    const { notes } = await host.clock.runUntil(agent.rescan())
    expect(notes).toEqual(target.notes.map((one) => ({ ...one, target: 'fake' })))
    await host.clock.advance(60 * SECOND)
    expect(target.asked.length).toBeGreaterThan(5)
    expect(agent.missing).toEqual([{ target: 'fake', place: note.place, text: note.text, since: 0 }])
    expect(reports).toEqual([])
    target.notes = []
    await host.clock.advance(15 * SECOND)
    expect(agent.missing).toEqual([])
    expect(reports.length).toBe(1)
    expect(reports[0]).not.toHaveProperty('notes')
  })

  it('is a device that is expected, which every target is asked for', async () => {
    const target = new Moody(1)
    const all = target.infos
    target.infos = []
    const { host, agent } = setUp([target], [VOLUME, 'fake:0'])
    await host.clock.runUntil(agent.rescan())
    expect(agent.missing.map(({ target, place }) => [target, place])).toEqual([
      ['', VOLUME],
      ['', 'fake:0'],
    ])
    target.infos = all
    await host.clock.advance(15 * SECOND)
    expect([volumes(agent), agent.missing, host.clock.timers]).toEqual([[VOLUME], [], 0])
  })

  it('is every path of an open device that a rescan found gone: they are there again soon after', async () => {
    const target = new Moody(2)
    const all = target.infos
    const { host, agent, transport } = setUp([target])
    const pair = await host.clock.runUntil(agent.pair({ name: 'v', device: VOLUME, transport }))
    target.infos = []
    await agent.rescan()
    await host.clock.advance(0)
    expect([pair.state, pair.paths]).toEqual(['stalled', []])
    const { length } = target.asked
    await host.clock.advance(10 * SECOND)
    // At once, then every second, while I/O waits.
    expect(target.asked.length - length).toBeGreaterThanOrEqual(9)
    const parked = send(pair.user)
    target.infos = all
    await host.clock.advance(1.1 * SECOND)
    expect([pair.state, pair.paths.length, parked.status]).toEqual(['active', 2, 0])
    const asked = target.asked.length
    await host.clock.advance(60 * SECOND)
    expect(target.asked.length).toBe(asked)
  })

  it('is asked for less often when I/O has waited for long, and never after the end', async () => {
    const target = new Moody(1)
    const { host, agent, transport } = setUp([target])
    await host.clock.runUntil(agent.pair({ name: 'v', device: VOLUME, transport }))
    target.infos = []
    await agent.rescan()
    await host.clock.advance(3600 * SECOND)
    expect(target.asked.length).toBeLessThan(3600 / 4)
    await host.clock.runUntil(agent.close())
    const { length } = target.asked
    await host.clock.advance(60 * SECOND)
    expect([target.asked.length, host.clock.timers]).toEqual([length, 0])
  })
})

describe('volumes', () => {
  const many = (count: number): Moody[] =>
    Array.from({ length: count }, (_, index) => {
      const number = String(index).padStart(2, '0')
      return new Moody(1, `t${number}`, `naa.600000000000000000000000000001${number}`)
    })
  /** Its paths take that long to connect. */
  const slow = (target: Moody, milliseconds: number): void => {
    const connect = target.connect.bind(target)
    target.connect = async (info) => {
      await new Promise<void>((resolve) => target.clock.after(milliseconds, resolve))
      return connect(info)
    }
  }

  it('are opened side by side: many that are slow keep no other waiting for more than a second', async () => {
    const targets = many(60)
    const { host, agent, transport } = setUp(targets)
    for (const target of targets.slice(0, 50)) slow(target, 9 * SECOND)
    await host.clock.runUntil(agent.rescan())
    const ups = new Map<string, number>()
    for (const { name, infos } of targets) {
      const device = infos[0]!.volume
      void agent.pair({ name, device, transport }).then(() => ups.set(name, host.clock.now() / 1000))
    }
    await host.clock.advance(SECOND)
    expect([...ups.keys()]).toEqual(targets.slice(50).map(({ name }) => name))
    await host.clock.advance(10 * SECOND)
    expect(ups.size).toBe(60)
  })

  it('that open soon are attached in the order in which they were asked for', async () => {
    const targets = many(9)
    const { host, agent, transport } = setUp(targets)
    for (const [index, target] of targets.entries()) slow(target, 90 - 10 * index)
    slow(targets[3]!, 5 * SECOND)
    await host.clock.runUntil(agent.rescan())
    for (const { name, infos } of targets) void agent.pair({ name, device: infos[0]!.volume, transport })
    await host.clock.advance(6 * SECOND)
    const names = targets.map(({ name }) => name)
    expect(transport.names).toEqual([...names.filter((name) => name !== 't03'), 't03'])
    expect(agent.pairs.map(({ id }) => id)).toEqual(names)
  })

  it('are opened once, whoever asks for them at the same time, and names are given once', async () => {
    const target = new Moody(1)
    const { host, agent, transport } = setUp([target])
    slow(target, SECOND)
    await agent.rescan()
    const twice = [agent.open(VOLUME), agent.open(VOLUME), agent.pair({ name: 'v', device: VOLUME, transport })]
    await expect(agent.pair({ name: 'v', device: 'fake:0', transport, shared: true })).rejects.toMatchObject({
      code: 'IN_USE',
    })
    const second = agent.pair({ name: 'w', device: 'fake:0', transport })
    await expect(host.clock.runUntil(second)).rejects.toMatchObject({ code: 'IN_USE' })
    await host.clock.runUntil(Promise.all(twice))
    expect(target.connects.length).toBe(1)
  })
})

describe('close of a pair without a usable path', () => {
  async function stalled(unflushed: boolean) {
    const target = new Moody(1)
    const { host, agent, transport } = setUp([target])
    const pair = await host.clock.runUntil(
      agent.pair({ name: 'v', device: VOLUME, transport, multipath: { noPathTimeout: 30 * SECOND } }),
    )
    if (unflushed) await host.clock.runUntil(pair.user.write(0, new Uint8Array(512)))
    target.refuse.set('fake:0', 'connection refused')
    target.path(0).events.emit('down', new Error('reset by peer'))
    await host.clock.advance(20 * SECOND)
    return { host, agent, pair }
  }
  const lost = 'v is closed, and what was acknowledged and not flushed may be lost: no path is usable (fake:0: '

  it('does not wait at all with force, and says what may be lost', async () => {
    const { host, agent, pair } = await stalled(true)
    const closing = pair.close({ mode: 'force' })
    const before = host.clock.now()
    const error = await host.clock.runUntil(closing.catch((error: unknown) => error))
    expect(error).toMatchObject({ code: 'NO_PATH', message: expect.stringContaining(lost) })
    expect([host.clock.now(), agent.pairs]).toEqual([before, []])
  })

  it('waits for as long as its I/O would, and then says why', async () => {
    const { host, pair } = await stalled(true)
    const before = host.clock.now()
    const error = await host.clock.runUntil(pair.close().catch((error: unknown) => error))
    expect(error).toMatchObject({ code: 'NO_PATH', message: expect.stringContaining(lost) })
    expect(error).toMatchObject({ message: expect.stringContaining('connection refused') })
    expect((host.clock.now() - before) / 1000).toBeCloseTo(10 * SECOND, -1)
  })

  it('is no error where everything was flushed', async () => {
    const { host, pair } = await stalled(false)
    await host.clock.runUntil(pair.close({ mode: 'force' }))
    expect(pair.state).toBe('closed')
  })
})

it('a pair whose attachment has ended by itself is lost until it is closed', async () => {
  const target = new Moody(1)
  const { host, agent } = setUp([target])
  const events = createEmitter<{ lost: Error }>()
  const transport: Transport = {
    name: 'one',
    attach: async () => ({ node: 'x', events, resize: async () => {}, detach: async () => {} }),
    close: async () => {},
  }
  const pair = await host.clock.runUntil(agent.pair({ name: 'v', device: VOLUME, transport }))
  const told: string[] = []
  pair.events.on('lost', ({ message }) => told.push(message))
  events.emit('lost', new Error('removed by nbd-client'))
  events.emit('lost', new Error('again'))
  expect([pair.state, told]).toEqual(['lost', ['removed by nbd-client']])
  await host.clock.runUntil(pair.close())
  expect([pair.state, agent.pairs]).toEqual(['closed', []])
  await host.clock.runUntil(agent.pair({ name: 'v', device: VOLUME, transport }))
  expect(agent.pairs.map(({ id, state }) => [id, state])).toEqual([['v', 'active']])
})
