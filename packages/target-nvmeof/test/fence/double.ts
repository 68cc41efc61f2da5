import type { BlockError, SignalOptions } from '@blockbraid/core'
import { BlockError as Broken, delay } from '@blockbraid/core'
import type { VirtualHost } from '@blockbraid/testkit'
import { get16le, put16le } from '@blockbraid/wire'
import type {
  Association,
  AssociationListener,
  ControllerFacts,
  RunOptions,
} from '../../src/association/association.ts'
import type { Completion, Procedure, Submission } from '../../src/nvme/procedure.ts'
import type { Place } from '../../src/place/place.ts'
import { portalOf } from '../../src/place/portal.ts'
import { Command, CommandState } from '../../src/queue/command.ts'
import { Share } from '../../src/queue/share.ts'

export const place: Place = {
  hostNqn: 'nqn.2014-08.org.nvmexpress:uuid:11111111-2222-3333-4444-555555555555',
  hostId: '11111111-2222-3333-4444-555555555555',
  subNqn: 'nqn.2026-11.io.blockbraid:array',
  portal: portalOf('10.0.0.1', 4420),
}

/** What a controller answers to a command of its admin queue. */
export type Answers = (sqe: Uint8Array) => Partial<Completion> | Promise<Partial<Completion>>

export const Opcode = { GetLog: 0x02, Abort: 0x08, CrossReset: 0x38 }

/** A log of cross-controller resets: entries of id, instance, and how it stands. */
export function resetLog(...entries: readonly (readonly [number, number, number])[]): Uint8Array {
  const log = Buffer.alloc(8 + 8 * entries.length)
  put16le(log, 0, entries.length)
  for (const [index, [id, instance, state]] of entries.entries()) {
    put16le(log, 8 + 8 * index, id)
    log[10 + 8 * index] = instance
    log[14 + 8 * index] = state
  }
  return log
}

/** An association without a wire: what it is asked for is noted. */
export class DoubleAssociation implements Association {
  readonly place: Place
  readonly controller: ControllerFacts
  readonly listeners = new Set<AssociationListener>()
  readonly unfenced = new Set<object>()
  error: BlockError | undefined
  endedAt = 0
  heardAt = 0
  anaLog: undefined
  /** Opcodes of what its admin queue was sent, with CDW10. */
  readonly sent: (readonly [opcode: number, cdw10: number])[] = []
  answers: Answers = () => ({})
  /** How `disable` ends. */
  disabling: (signal: AbortSignal | undefined) => Promise<boolean> = () => Promise.resolve(false)
  released = 0
  closed = 0
  readonly #host: VirtualHost
  readonly #commands: Command[] = []
  readonly #drains = new Set<() => void>()
  readonly #lost = new AbortController()

  constructor(host: VirtualHost, facts: Partial<ControllerFacts> = {}, at: Partial<Place> = {}) {
    this.#host = host
    this.place = { ...place, ...at }
    this.controller = {
      id: 1,
      model: 'model',
      serial: 'serial',
      firmware: '1',
      keepAliveTimeout: 5000,
      trafficBased: false,
      quiesceTime: 0,
      crossResets: 0,
      instance: 7,
      instanceRandom: '0123456789abcdef',
      readyTimeout: 1000,
      identify: Buffer.alloc(4096),
      ...facts,
    } as ControllerFacts
    this.heardAt = host.clock.now()
  }

  get usable(): boolean {
    return this.error === undefined
  }

  /** A command of `owner` is sent and has no answer. */
  open(owner: object, changes = true): Command {
    const command = new Command(1)
    command.cid = 0x5000 + this.#commands.length
    command.state = CommandState.Sent
    command.owner = owner
    command.changes = changes
    this.#commands.push(command)
    return command
  }

  /** A command is answered. */
  answer(command: Command): void {
    this.#commands.splice(this.#commands.indexOf(command), 1)
    for (const look of this.#drains) look()
  }

  /** It ends by itself. */
  lose(): void {
    this.drop(new Broken('CONNECT_FAILED', 'cut by the test'))
  }

  share(): Share {
    return new Share([], 1)
  }

  take(): undefined {
    return undefined
  }

  send(): void {}

  readonly silence = 0

  ping(): Promise<void> {
    return Promise.resolve()
  }

  trouble(): void {}

  commandsOf(owner: object): Command[] {
    return this.#commands.filter((command) => command.owner === owner)
  }

  detach(): boolean {
    return true
  }

  drained(owner: object, { signal }: SignalOptions = {}): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        if (this.commandsOf(owner).every(({ changes }) => !changes)) resolve()
      }
      this.#drains.add(look)
      signal?.addEventListener('abort', () => reject(new Broken('ABORTED', 'aborted')))
      this.#lost.signal.addEventListener('abort', () => reject(this.error))
      look()
    })
  }

  async run<Result>(procedure: Procedure<Result>, { signal }: RunOptions = {}): Promise<Result> {
    const over = AbortSignal.any([this.#lost.signal, ...(signal === undefined ? [] : [signal])])
    const ended = new Promise<never>((_, reject) => {
      over.addEventListener('abort', () => reject(this.error ?? new Broken('ABORTED', 'aborted')))
      if (over.aborted) reject(this.error ?? new Broken('ABORTED', 'aborted'))
    })
    ended.catch(() => {})
    let next = procedure.next()
    while (!next.done) {
      const { sqe } = next.value as Submission
      this.sent.push([sqe[0] as number, get16le(sqe, 40)])
      const answer = await Promise.race([ended, this.answers(sqe)])
      this.heardAt = this.#host.clock.now()
      next = procedure.next({ status: 0, result: 0, resultHigh: 0, data: resetLog(), ...answer })
    }
    return next.value
  }

  drop(error: BlockError): void {
    if (this.error !== undefined) return
    this.error = error
    this.endedAt = this.#host.clock.now()
    for (const { changes, owner } of this.#commands) if (changes && owner !== null) this.unfenced.add(owner)
    this.#lost.abort()
    for (const { lost } of [...this.listeners]) lost(error)
  }

  disable({ signal }: SignalOptions = {}): Promise<boolean> {
    return this.disabling(signal)
  }

  release(): void {
    this.released++
  }

  async close(): Promise<void> {
    this.closed++
  }
}

/** Answers for a controller that resets others: each after `milliseconds`, at once where it is 0. */
export function resetter(host: VirtualHost, milliseconds: number): { answers: Answers; asked: number; most: number } {
  const running: (readonly [number, number])[] = []
  const ended: (readonly [number, number])[] = []
  const state = {
    asked: 0,
    /** How many were under way at once. */
    most: 0,
    answers: (sqe: Uint8Array): Partial<Completion> => {
      if (sqe[0] === Opcode.GetLog) {
        const log = resetLog(
          ...running.map(([id, instance]) => [id, instance, 0] as const),
          ...ended.splice(0).map(([id, instance]) => [id, instance, 1] as const),
        )
        return { data: log }
      }
      if (sqe[0] !== Opcode.CrossReset) return {}
      state.asked++
      if (milliseconds === 0) return { result: 1 }
      const one = [get16le(sqe, 40), sqe[42] as number] as const
      running.push(one)
      state.most = Math.max(state.most, running.length)
      void delay(host.clock, milliseconds).then(() => {
        running.splice(running.indexOf(one), 1)
        ended.push(one)
      })
      return {}
    },
  }
  return state
}
