import type { Host, Timer } from '../clock.ts'
import { delay } from '../clock.ts'
import { orAborted } from '../closing.ts'
import type { MultipathDevice } from '../multipath/multipath-device.ts'
import type { PathSource } from '../multipath/path-source.ts'
import type { Target } from '../target.ts'
import { Asking } from './asking.ts'
import type { Inventory } from './inventory.ts'
import { differenceOf, sourcesOf, takeStock } from './inventory.ts'
import type { JoinRules } from './join-rules.ts'
import type { Joined } from './joins.ts'
import { joinPaths } from './joins.ts'
import { Reconcile } from './reconcile.ts'
import type { Missing, ScanError, ScanNote, ScanReport } from './types.ts'

// Once one target has answered, the others are waited for that long, milliseconds.
const GRACE = 1000

// News of one change come in bursts, one per path; milliseconds.
const RESCAN_DELAY = 50

/** What {@link Discovery} is made of. */
export interface DiscoveryParts {
  readonly targets: readonly Target[]
  readonly host: Host
  readonly rules: JoinRules
  /** Ids of devices that shall be there. */
  readonly expected: readonly string[]
  readonly stop: AbortSignal
  /** Devices that are open, by their id. */
  readonly open: ReadonlyMap<string, MultipathDevice>
  /** Ids of the paths of each device that is open, or being opened: they keep what they have. */
  held(): ReadonlyMap<string, ReadonlySet<string>>
  /** What is offered may have changed. */
  found(): void
  /** Something changed that no rescan tells. */
  tell(report: ScanReport): void
}

/** What the targets offer, put together from what each answered last, and asked for again where something is missing. */
export class Discovery {
  inventory: Inventory = new Map()
  joined: Joined = { volumes: new Map(), errors: [] }
  #parts: DiscoveryParts
  #askings: readonly Asking[]
  #reconcile: Reconcile
  #faults: readonly ScanError[] = []
  #news: Timer | undefined
  #scanned = false
  #planning = false
  /** Rounds that tell, or keep to themselves, what they find. */
  #rounds = 0
  #told: { readonly inventory: Inventory; readonly picture: string }
  /** Found by a look that told nobody. */
  #untold = false
  #unknown = new Map<string, number>()
  #answers = new Set<() => void>()
  #stopListening: (() => void)[] = []

  constructor(parts: DiscoveryParts) {
    const { targets, host, stop } = parts
    this.#parts = parts
    this.#askings = targets.map((target) => new Asking(target, host.clock, stop, () => this.#heard()))
    this.#reconcile = new Reconcile(this.#askings, host, {
      lacks: () => this.#unknown.size > 0,
      waiting: () => this.#waiting(),
    })
    this.#told = { inventory: this.inventory, picture: this.#picture() }
    for (const { events } of targets) {
      if (events === undefined) continue
      const onChanged = (): void => this.#askSoon()
      events.on('changed', onChanged)
      this.#stopListening.push(() => events.off('changed', onChanged))
    }
  }

  get missing(): readonly Missing[] {
    return [
      ...this.#askings.flatMap(({ target: { name }, failure, notes }) => [
        ...(failure === undefined
          ? []
          : [{ target: name, place: '', text: failure.error.message, since: failure.since }]),
        ...notes
          .filter(({ missing }) => missing)
          .map(({ place, text, since }) => ({ target: name, place, text, since })),
      ]),
      ...Array.from(this.#unknown, ([id, since]) => ({
        target: '',
        place: id,
        text: 'no target offers it',
        since,
      })),
    ]
  }

  /** The paths behind a device id. */
  sources(id: string): readonly PathSource[] {
    return sourcesOf(this.inventory, this.joined.volumes, id)
  }

  /** Asks every target, and tells what is not as it was when it was called. */
  async rescan(signal: AbortSignal): Promise<ScanReport> {
    const before = this.inventory
    await this.#round(signal)
    this.#told = { inventory: this.inventory, picture: this.#picture() }
    this.#untold = false
    return this.#report(before)
  }

  /** Asks every target for the paths behind a device id, and tells nobody. */
  async look(id: string, signal: AbortSignal): Promise<void> {
    await this.#round(signal)
    const picture = this.#picture()
    if (picture !== this.#told.picture) {
      this.#told = { inventory: this.inventory, picture }
      this.#untold = true
    }
    while (this.sources(id).length === 0 && this.#askings.some(({ busy }) => busy)) {
      await orAborted(new Promise<void>((resolve) => this.#answers.add(resolve)), signal)
    }
  }

  /** A device waits for a path, or does no more. */
  plan(): void {
    // Many devices lose their paths in one turn.
    if (this.#planning) return
    this.#planning = true
    this.#parts.host.clock.defer(() => {
      this.#planning = false
      this.#reconcile.plan()
    })
  }

  close(): void {
    for (const stop of this.#stopListening) stop()
    this.#news?.cancel()
    this.#reconcile.close()
  }

  async #round(signal: AbortSignal): Promise<void> {
    this.#scanned = true
    this.#rounds++
    try {
      await orAborted(this.#askAll(), signal)
    } finally {
      this.#rounds--
    }
    signal.throwIfAborted()
  }

  async #askAll(): Promise<void> {
    const over = new AbortController()
    const silent = new Set(this.#askings)
    const all = this.#askings.map((asking) => asking.ask().then(() => void silent.delete(asking)))
    const answered = this.#askings.map(async (asking, index) => {
      await all[index]
      if (asking.failure !== undefined) throw asking.failure.error
    })
    const late = Promise.any(answered).then(
      () => delay(this.#parts.host.clock, GRACE, over.signal),
      // Then all have ended.
      () => {},
    )
    await Promise.race([Promise.all(all), late])
    over.abort()
    for (const asking of silent) asking.overdue()
    if (silent.size > 0) this.#reconcile.plan()
  }

  #askSoon(): void {
    if (this.#news !== undefined || this.#parts.stop.aborted || !this.#scanned) return
    this.#news = this.#parts.host.clock.after(RESCAN_DELAY, () => {
      // The next news may ask again once these questions have begun, not before.
      this.#news = undefined
      this.#round(this.#parts.stop).then(
        () => this.#tell(),
        // Closed meanwhile: targets that cannot be asked are in the report.
        () => {},
      )
    })
  }

  #heard(): void {
    const { rules, held, host } = this.#parts
    const { inventory, errors } = takeStock(this.#askings)
    this.inventory = inventory
    this.#faults = errors
    this.joined = joinPaths(inventory.values(), rules, held())
    this.#miss(host.clock.now())
    this.#parts.found()
    for (const answer of this.#answers) answer()
    this.#answers.clear()
    this.#reconcile.plan()
    if (this.#rounds === 0) this.#tell()
  }

  #miss(now: number): void {
    const refused = new Set<string | undefined>(this.joined.errors.map(({ volume }) => volume))
    for (const id of this.#parts.expected) {
      if (this.sources(id).length > 0 || refused.has(id)) this.#unknown.delete(id)
      else if (!this.#unknown.has(id)) this.#unknown.set(id, now)
    }
  }

  /** Names of targets that a device without a usable path may wait for; undefined: any. */
  #waiting(): ReadonlySet<string> | undefined {
    const names = new Set<string>()
    for (const device of this.#parts.open.values()) {
      if (device.state !== 'stalled') continue
      if (device.paths.length === 0) return undefined
      for (const { target } of device.paths) names.add(target)
    }
    return names
  }

  #tell(): void {
    const picture = this.#picture()
    if (picture === this.#told.picture && !this.#untold) return
    const report = this.#report(this.#told.inventory)
    this.#told = { inventory: this.inventory, picture }
    this.#untold = false
    this.#parts.tell(report)
  }

  #report(before: Inventory): ScanReport {
    const notes = this.#notes()
    return {
      ...differenceOf(before, this.inventory),
      errors: [...this.#failures(), ...this.#faults, ...this.joined.errors],
      ...(notes.length > 0 && { notes }),
    }
  }

  #failures(): ScanError[] {
    return this.#askings.flatMap(({ target, failure }) =>
      failure === undefined ? [] : [{ target: target.name, error: failure.error }],
    )
  }

  #notes(): ScanNote[] {
    return this.#askings.flatMap(({ target, notes }) =>
      notes.map(({ place, text, missing }) => ({ target: target.name, place, text, missing })),
    )
  }

  /** Everything that is worth to be told when it is another. */
  #picture(): string {
    const paths = Array.from(this.inventory.values(), ({ info: { id, volume, size, blockSize } }) => [
      id,
      volume,
      size,
      blockSize,
    ])
    const errors = [...this.#failures(), ...this.#faults, ...this.joined.errors].map(({ target, error }) => [
      target,
      error.message,
    ])
    return JSON.stringify([paths, errors, this.#notes()])
  }
}
