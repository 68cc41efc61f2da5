import type { Clock } from '../../clock.ts'
import type { IoStatus } from '../../status.ts'
import type { TraceSink } from '../../trace.ts'
import type { Attempt } from '../attempt.ts'
import type { PathEntry } from '../path-entry.ts'
import type { PathSlot } from '../path-slot.ts'
import type { Selection } from '../selection.ts'
import { Chunk, TEXT } from './chunk.ts'
import type { FlowTrace, Wait } from './flow-trace.ts'
import type { TraceHeader } from './trace-format.ts'
import { COLUMNS, NO_PATH, RecordKind, writeHeader } from './trace-format.ts'

// How long records are kept before the sink gets them, milliseconds.
const PATIENCE = 100
// More candidates of an I/O are counted only.
const MOST_CANDIDATES = 256
const LAST_NUMBER = 2 ** 32 - 1

/** Writes a trace: what it hears goes into memory that is there already, and to the sink between I/Os. */
export class Recorder implements FlowTrace {
  readonly #clock: Clock
  readonly #selection: Selection
  readonly #header: TraceHeader
  readonly #sink: TraceSink
  readonly #failed: (error: unknown) => void
  readonly #chunk = new Chunk()
  readonly #paths = new Map<PathEntry, number>()
  readonly #policies: string[] = []
  #entries: readonly PathEntry[] = []
  // By place in the tier.
  #places: number[] = []
  #policy = ''
  #policyNumber = 0
  #io = 0.5
  // Not told yet.
  #lost = 0.5
  #lostInAll = 0.5
  #records = 0
  #headed = false
  #due = false
  #hurried = false
  #over = false

  /** `failed` hears what the sink throws; then the trace is over. */
  constructor(
    clock: Clock,
    selection: Selection,
    header: TraceHeader,
    sink: TraceSink,
    failed: (error: unknown) => void,
  ) {
    this.#clock = clock
    this.#selection = selection
    this.#header = header
    this.#sink = sink
    this.#failed = failed
    // Declared as doubles so that V8 keeps one representation.
    this.#io = 0
    this.#lost = 0
    this.#lostInAll = 0
    writeHeader(this.#chunk, header)
  }

  picked(attempt: Attempt, wanted: PathEntry, taken: PathEntry, entries: readonly PathEntry[]): void {
    if (entries !== this.#entries) this.#adopt(entries)
    if (this.#selection.name !== this.#policy) this.#adoptPolicy()
    const shown = Math.min(entries.length, MOST_CANDIDATES)
    const number = this.#number(attempt)
    if (!this.#begin(RecordKind.pick, PICK_SIZE + shown * CANDIDATE_SIZE)) return
    const chunk = this.#chunk
    const { io } = attempt
    chunk.f64(this.#clock.now())
    chunk.u32(number)
    chunk.u8(io.op)
    chunk.u8(io.flags)
    chunk.f64(io.offset)
    chunk.f64(io.length)
    chunk.u16(this.#policyNumber)
    chunk.u16(this.#places[wanted.index] as number)
    // One that is not among the candidates gets a share all the same, to show whether it is well.
    chunk.u16(this.#places[taken.index] ?? this.#path(taken))
    chunk.u16(entries.length)
    chunk.u16(shown)
    for (let index = 0; index < shown; index++) {
      const entry = entries[index] as PathEntry
      chunk.u16(this.#places[index] as number)
      // As COLUMNS says.
      chunk.f32(entry.inflight)
      chunk.f32(entry.inflightBytes)
      chunk.f32(entry.agedLatency())
      chunk.f32(entry.queueDepth)
      chunk.f32(entry.throughput())
      chunk.f32(entry.recentErrors())
    }
    this.#end()
  }

  waits(attempt: Attempt, why: Wait, slot: PathSlot | null): void {
    const io = attempt.parent
    const number = this.#number(attempt)
    const path = slot === null ? NO_PATH : this.#path(slot.entry)
    if (io === null || !this.#begin(RecordKind.wait, 64)) return
    const chunk = this.#chunk
    chunk.f64(this.#clock.now())
    chunk.u32(number)
    chunk.u8(io.op)
    chunk.u8(io.flags)
    chunk.f64(io.offset)
    chunk.f64(io.length)
    chunk.u8(why)
    chunk.u16(path)
    this.#end()
  }

  failed(attempt: Attempt, slot: PathSlot, status: IoStatus): void {
    this.#came(RecordKind.failed, attempt, slot, status)
  }

  done(attempt: Attempt, status: IoStatus): void {
    this.#came(RecordKind.done, attempt, attempt.slot, status)
    attempt.traced = 0
  }

  #came(kind: number, attempt: Attempt, slot: PathSlot | null, status: IoStatus): void {
    // It was under way when the trace began.
    if (attempt.traced === 0) return
    const path = slot === null ? NO_PATH : this.#path(slot.entry)
    if (!this.#begin(kind, 32)) return
    const chunk = this.#chunk
    chunk.f64(this.#clock.now())
    chunk.u32(attempt.traced)
    chunk.u16(path)
    chunk.u32(status)
    this.#end()
  }

  hedged(first: Attempt, second: Attempt): void {
    second.traced = this.#number(first)
    if (!this.#begin(RecordKind.hedge, 16)) return
    this.#chunk.f64(this.#clock.now())
    this.#chunk.u32(first.traced)
    this.#end()
  }

  /** A path is other than it was, or is new. */
  path(slot: PathSlot): void {
    const path = this.#path(slot.entry)
    if (!this.#begin(RecordKind.state, 16 + 3 * TEXT)) return
    const chunk = this.#chunk
    chunk.f64(this.#clock.now())
    chunk.u16(path)
    chunk.text(slot.state)
    chunk.text(slot.entry.access)
    chunk.text(slot.state === 'up' ? slot.standsBack : slot.reason)
    this.#end()
  }

  /** Something happened to the device, or to a path. */
  event(kind: string, slot: PathSlot | undefined, count: number, text: string): void {
    const path = slot === undefined ? NO_PATH : this.#path(slot.entry)
    if (!this.#begin(RecordKind.event, 16 + 2 * TEXT)) return
    const chunk = this.#chunk
    chunk.f64(this.#clock.now())
    chunk.u16(path)
    chunk.u32(count)
    chunk.text(kind)
    chunk.text(text)
    this.#end()
  }

  /** Nothing more comes. */
  close(why: string): void {
    if (this.#over) return
    this.#flush()
    if (this.#begin(RecordKind.end, 16 + TEXT)) {
      this.#chunk.f64(this.#clock.now())
      this.#chunk.text(why)
      this.#end()
    }
    this.#flush()
    this.#over = true
    try {
      this.#sink.end?.()
    } catch (error) {
      this.#failed(error)
    }
  }

  #number(attempt: Attempt): number {
    if (attempt.traced === 0) {
      this.#io = this.#io === LAST_NUMBER ? 1 : this.#io + 1
      attempt.traced = this.#io
    }
    return attempt.traced
  }

  #adopt(entries: readonly PathEntry[]): void {
    this.#entries = entries
    this.#places = entries.map((entry) => this.#path(entry))
  }

  #adoptPolicy(): void {
    this.#policy = this.#selection.name
    this.#policyNumber = this.#policies.indexOf(this.#policy)
    if (this.#policyNumber >= 0) return
    this.#policyNumber = this.#policies.push(this.#policy) - 1
    this.#writePolicy(this.#policyNumber)
  }

  #path(entry: PathEntry): number {
    const known = this.#paths.get(entry)
    if (known !== undefined) return known
    // One number is kept for none.
    const number = Math.min(this.#paths.size, NO_PATH - 1)
    this.#paths.set(entry, number)
    this.#writePath(entry, number)
    return number
  }

  #writePath(entry: PathEntry, number: number): void {
    if (!this.#begin(RecordKind.path, 8 + 3 * TEXT)) return
    const chunk = this.#chunk
    chunk.u16(number)
    chunk.f32(entry.weight)
    chunk.text(entry.id)
    chunk.text(entry.target)
    chunk.text(entry.address)
    this.#end()
  }

  #writePolicy(number: number): void {
    if (!this.#begin(RecordKind.policy, 4 + TEXT)) return
    this.#chunk.u16(number)
    this.#chunk.text(this.#policies[number] as string)
    this.#end()
  }

  #begin(kind: number, most: number): boolean {
    if (this.#over) return false
    if (this.#lost > 0) this.#tellLoss()
    if (!this.#due) {
      this.#due = true
      this.#clock.after(PATIENCE, this.#turn)
    }
    return this.#chunk.begin(kind, most)
  }

  #end(): void {
    this.#chunk.end()
    this.#records++
    if (!this.#chunk.isHalfFull || this.#hurried) return
    this.#hurried = true
    this.#clock.defer(this.#hurry)
  }

  // Made once, both: a turn that fills half of the memory asks for no more of it.
  readonly #hurry = (): void => {
    this.#hurried = false
    this.#flush()
  }

  readonly #turn = (): void => {
    this.#due = false
    this.#flush()
  }

  #flush(): void {
    const chunk = this.#chunk
    if (this.#over || (chunk.length === 0 && chunk.lost === 0)) return
    let taken = false
    try {
      taken = this.#sink.write(chunk.written)
    } catch (error) {
      this.#over = true
      this.#failed(error)
      return
    }
    if (taken) this.#headed = true
    this.#lost += chunk.lost + (taken ? 0 : this.#records)
    chunk.clear()
    chunk.lost = 0
    this.#records = 0
  }

  // What was lost may have been the beginning, or the name of a path.
  #tellLoss(): void {
    const lost = this.#lost
    this.#lost = 0
    this.#lostInAll += lost
    if (!this.#headed) writeHeader(this.#chunk, this.#header)
    for (const [entry, number] of this.#paths) this.#writePath(entry, number)
    for (const number of this.#policies.keys()) this.#writePolicy(number)
    if (this.#begin(RecordKind.lost, 32)) {
      this.#chunk.f64(this.#clock.now())
      this.#chunk.f64(lost)
      this.#chunk.f64(this.#lostInAll)
      this.#end()
    }
    // None of these is lost twice.
    this.#records = 0
  }
}

// Bytes of a pick without its candidates, and of each of those.
const PICK_SIZE = 48
const CANDIDATE_SIZE = 2 + 4 * COLUMNS.length
