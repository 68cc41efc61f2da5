import type { Clock, IoStatus, Timer } from '@blockbraid/core'
import { abortable, changesData, IoOp, NO_BUFFERS, OK } from '@blockbraid/core'
import type { Sender } from './command.ts'
import { Command, CommandHeap } from './command.ts'
import type { Journal } from './journal.ts'
import type { ResolvedPort } from './options.ts'
import { Ring } from './ring.ts'

/**
 * A port of the array: what was sent through it waits, is executed when its latency has passed, and is
 * answered. None of that asks whether the path is still there: only {@link abort} ends a command early.
 */
export class Port {
  readonly number: number
  readonly controller: number
  readonly queueDepth: number
  /** Whether the link is there. */
  up = true
  /** Whether it executes and answers nothing. */
  hung = false
  /** Extra latency, µs. */
  slow = 0
  readonly #clock: Clock
  readonly #random: () => number
  readonly #journal: Journal | null
  readonly #base: number
  readonly #jitter: number
  readonly #working = new CommandHeap()
  readonly #held = new Ring<Command>()
  readonly #waiting = new Ring<Command>()
  readonly #pool: Command[] = []
  readonly #watchers = new Set<() => void>()
  /** The command whose turn it is; null once it is aborted. */
  #current: Command | null = null
  #order = 0
  #timer: Timer | null = null
  #timerDue = 0
  #draining = false

  constructor(number: number, options: ResolvedPort, clock: Clock, random: () => number, journal: Journal | null) {
    this.number = number
    this.controller = options.controller
    this.queueDepth = options.queueDepth
    this.#base = options.base
    this.#jitter = options.jitter
    this.#clock = clock
    this.#random = random
    this.#journal = journal
  }

  /** Whether a command may be executed at once, with none of this file. */
  get plain(): boolean {
    return this.up && !this.hung && this.#base === 0 && this.#jitter === 0 && this.slow === 0
  }

  /** Commands that were sent and not answered, those of dead paths included. */
  get commands(): number {
    return this.#active + this.#waiting.length
  }

  get #active(): number {
    return this.#working.length + this.#held.length
  }

  /** An empty command to fill and to {@link accept}. */
  command(): Command {
    return this.#pool.pop() ?? new Command()
  }

  /** Takes in a command. May end its Io before it returns. */
  accept(command: Command): void {
    this.#waiting.push(command)
    this.#drain()
  }

  /** Executes what the hang has held, in order, and goes on. */
  release(): void {
    this.hung = false
    try {
      this.#drain()
    } finally {
      this.notify()
    }
  }

  /** Settles at the next {@link notify}; rejects when the signal fires. */
  changed(signal: AbortSignal | undefined): Promise<void> {
    let wake = (): void => {}
    const woken = new Promise<void>((resolve) => {
      wake = resolve
    })
    this.#watchers.add(wake)
    return abortable(woken, signal).finally(() => this.#watchers.delete(wake))
  }

  /** Wakes who waits for this port: its state may have changed. */
  notify(): void {
    for (const wake of this.#watchers) wake()
  }

  /** Ends what `path` has left here, or everybody: it is never executed. */
  abort(path?: Sender): void {
    const drop = (command: Command): boolean => {
      if (path !== undefined && command.path !== path) return false
      command.path!.forget(command)
      this.#recycle(command)
      return true
    }
    this.#working.sift(drop)
    this.#held.sift(drop)
    this.#waiting.sift(drop)
    if (this.#current !== null && drop(this.#current)) this.#current = null
    // Others may have room now. Their `done` is not called from in here: it may throw.
    if (this.#mayFinish || this.#mayStart) this.#clock.defer(this.#drain)
  }

  // Everything that ends a command comes through here, in a loop and never nested: `done` may call back.
  readonly #drain = (): void => {
    if (this.#draining) return
    this.#draining = true
    try {
      while (this.#mayFinish) this.#finish(this.#held.shift()!)
      while (this.#mayStart) this.#start(this.#waiting.shift()!)
    } finally {
      this.#draining = false
      this.#arm()
      // Only after a `done` that threw.
      if (this.#mayFinish || this.#mayStart) this.#clock.defer(this.#drain)
    }
  }

  get #mayFinish(): boolean {
    return !this.hung && this.#held.length > 0
  }

  get #mayStart(): boolean {
    return this.#waiting.length > 0 && this.#active < this.queueDepth
  }

  #start(command: Command): void {
    const jitter = this.#jitter === 0 ? 0 : this.#jitter * this.#random()
    const latency = this.#base + this.slow + jitter
    if (latency === 0) {
      if (this.hung) this.#held.push(command)
      else this.#finish(command)
      return
    }
    command.due = this.#clock.now() + latency
    command.order = this.#order++
    this.#working.push(command)
  }

  readonly #onTimer = (): void => {
    this.#timer = null
    const now = this.#clock.now()
    this.#draining = true
    try {
      // Half a microsecond: a timer may fire early by a rounding.
      for (
        let first = this.#working.first;
        first !== undefined && first.due <= now + 0.5;
        first = this.#working.first
      ) {
        this.#working.shift()
        if (this.hung) this.#held.push(first)
        else this.#finish(first)
      }
    } finally {
      this.#draining = false
      this.#drain()
    }
  }

  #arm(): void {
    const first = this.#working.first
    if (first === undefined || (this.#timer !== null && this.#timerDue <= first.due)) return
    this.#timer?.cancel()
    this.#timerDue = first.due
    this.#timer = this.#clock.after(Math.max(0, first.due - this.#clock.now()) / 1000, this.#onTimer)
  }

  #finish(command: Command): void {
    this.#current = command
    try {
      command.path!.tellNews()
    } finally {
      if (this.#current === command) this.#execute(command)
    }
  }

  #execute(command: Command): void {
    this.#current = null
    const path = command.path!
    const volume = path.mapping.volume
    const io = command.io
    let status: IoStatus = path.judge(command)
    let entry = null
    if (status === OK && (io !== null || command.op === IoOp.Flush || changesData(command.op))) {
      status = volume.perform(command)
      if (status === OK && this.#journal !== null && command.op !== IoOp.Read) {
        entry = this.#journal.executed(command, volume, this.number, path.connection)
      }
    }
    if (io !== null && command.op === IoOp.Read) io.buffers = command.buffers
    path.forget(command)
    this.#recycle(command)
    if (io === null) return
    if (entry !== null) this.#journal!.answered(entry)
    io.done(io, status)
  }

  #recycle(command: Command): void {
    command.path = null
    command.io = null
    command.buffers = NO_BUFFERS
    if (this.#pool.length < this.queueDepth) this.#pool.push(command)
  }
}
