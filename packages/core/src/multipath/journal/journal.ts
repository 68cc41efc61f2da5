import type { Clock } from '../../clock.ts'
import type { Failover, FailoverKind } from '../../failover.ts'
import type { PathHealth } from '../../pair.ts'
import type { IoStatus } from '../../status.ts'
import type { FenceProof } from '../../target.ts'
import type { Attempt } from '../attempt.ts'
import { describeProof } from '../fences.ts'
import type { PathSlot } from '../path-slot.ts'
import { TAKEN_OUT } from './by-hand.ts'
import { Episode } from './episode.ts'
import type { FlowJournal } from './flow-journal.ts'

// How many failovers are kept.
const KEPT = 32
// What happens to a path of the last one within this time belongs to it, and to any path within that, µs.
const SAME = 60_000_000
const SOON = 2_000_000

type SlotEpisode = Episode<PathSlot>

/** What is known of a path: what differs from it is news. */
interface Known {
  state: PathSlot['state']
  access: PathSlot['entry']['access']
  reason: string
  standsBack: string
  episode: SlotEpisode | undefined
}

const healthWords = { probation: 'on probation', demoted: 'demoted', well: 'well again' } as const

type Hear = (kind: FailoverKind, slot: PathSlot | undefined, count: number, text: string) => void

/** Keeps the last failovers of a device: always on, off the way of I/O, bounded. */
export class Journal implements FlowJournal {
  /** Ios that have waited too long, so far. */
  ended = 0
  readonly #clock: Clock
  readonly #hear: Hear
  readonly #episodes: SlotEpisode[] = []
  readonly #known = new WeakMap<PathSlot, Known>()

  /** `hear` is told what happens, too, apart from what concerns single I/Os. */
  constructor(clock: Clock, hear: Hear) {
    this.#clock = clock
    this.#hear = hear
  }

  /** The last failovers, the newest last. */
  list(): readonly Failover[] {
    return this.#episodes.map((episode) => episode.status())
  }

  /** A path may be other than it was. */
  slotChanged(slot: PathSlot): void {
    const { state, reason, standsBack, entry } = slot
    const { access } = entry
    const known = this.#known.get(slot)
    if (known === undefined) {
      this.#known.set(slot, { state, access, reason, standsBack, episode: undefined })
      return
    }
    const before = { ...known }
    Object.assign(known, { state, access, reason, standsBack })
    if (state !== before.state) this.#stateChanged(slot, known, before.state)
    else if (state === 'fencing' && reason !== before.reason) this.#tell(known.episode, slot, 'unfenced', reason)
    if (state !== 'up') return
    if (before.state === 'up' && access !== before.access) {
      this.#tell(this.#current(slot), slot, 'access', `${before.access} to ${access}`)
    }
    if (standsBack !== before.standsBack) this.#tell(this.#current(slot), slot, 'aside', standsBack)
  }

  #stateChanged(slot: PathSlot, known: Known, before: PathSlot['state']): void {
    const { state, reason } = slot
    if (before === 'up') {
      this.#begin(slot, known)
      this.#tell(known.episode, slot, slot.ended ? 'gone' : reason === TAKEN_OUT ? 'out' : 'failed', reason)
      if (slot.ended) this.#settle(slot, known)
    } else if (state === 'waiting' && before === 'connecting') {
      this.#begin(slot, known)
      this.#tell(known.episode, slot, 'unreachable', reason)
    } else if (state === 'up' && known.episode !== undefined) {
      this.#tell(known.episode, slot, 'up', '')
      this.#settle(slot, known)
    }
  }

  /** A path is not well, for a reason, or is well again. */
  health(slot: PathSlot, health: PathHealth | 'well', reason: string): void {
    const known = this.#known.get(slot)
    if (known === undefined) return
    if (health !== 'well') this.#begin(slot, known)
    this.#tell(known.episode ?? this.#current(slot), slot, 'health', `${healthWords[health]}: ${reason}`)
    if (health === 'well' && slot.state === 'up') this.#settle(slot, known)
  }

  #begin(slot: PathSlot, known: Known): void {
    known.episode ??= this.#current(slot)
    known.episode.ended = undefined
    known.episode.open.add(slot)
  }

  #settle(slot: PathSlot, known: Known): void {
    const { episode } = known
    // It is up, and not well.
    if (slot.vitals.state !== '' && !slot.ended) return
    known.episode = undefined
    if (episode === undefined) return
    episode.open.delete(slot)
    this.#mayEnd(episode)
  }

  #mayEnd(episode: SlotEpisode): void {
    if (episode.open.size === 0 && !episode.stalled) episode.ended = episode.last
  }

  /** A path was taken out of the device, whatever its state: it will not be well again. */
  removed(slot: PathSlot): void {
    const known = this.#known.get(slot)
    if (known !== undefined) this.#settle(slot, known)
  }

  /** The failover that what happens now belongs to; a new one where the last was long ago. */
  #current(slot?: PathSlot): SlotEpisode {
    const now = this.#clock.now()
    const last = this.#episodes.at(-1)
    if (last !== undefined) {
      const age = now - last.last
      const known = slot === undefined || last.concerns(slot.entry.id)
      if (last.stalled || age <= SOON || (age <= SAME && (last.ended === undefined || known))) return last
    }
    const episode: SlotEpisode = new Episode(now)
    episode.ended = now
    this.#episodes.push(episode)
    if (this.#episodes.length <= KEPT) return episode
    // What is not over yet is kept longest, but not in place of the newest.
    const over = this.#episodes.findIndex(({ ended }) => ended !== undefined)
    this.#episodes.splice(over < KEPT ? over : 0, 1)
    return episode
  }

  #tell(
    episode: SlotEpisode | undefined,
    slot: PathSlot | undefined,
    kind: FailoverKind,
    text: string,
    count = 1,
  ): void {
    if (episode === undefined) return
    episode.tell(this.#clock.now(), kind, slot?.entry.id ?? '', text, count)
    this.#mayEnd(episode)
    if (kind !== 'moved' && kind !== 'held' && kind !== 'expired') this.#hear(kind, slot, count, text)
  }

  #latest(): SlotEpisode | undefined {
    return this.#episodes.at(-1)
  }

  /** Nothing sent through a failed path can change data any more. */
  fenced(slot: PathSlot, proof: FenceProof | undefined): void {
    const episode = this.#known.get(slot)?.episode
    // Where nothing had to be proven nobody asks for it.
    if (proof === undefined && episode?.has('held', slot.entry.id) !== true) return
    this.#tell(episode, slot, 'fenced', proof === undefined ? '' : describeProof(proof))
  }

  /** I/O goes to so many paths; `waited`: I/Os that waited for one of them. */
  routed(slots: readonly PathSlot[], waited: number): void {
    if (slots.length === 0) {
      const episode = this.#current()
      episode.stalled = true
      episode.ended = undefined
      return this.#tell(episode, undefined, 'stalled', '')
    }
    const episode = this.#latest()
    if (episode === undefined) return
    const resumed = episode.stalled
    episode.stalled = false
    if (resumed) this.#tell(episode, undefined, 'resumed', '', waited)
    const tier = slots.some(({ entry }) => entry.access === 'optimized') ? '' : 'non-optimized'
    if (episode.ended === undefined || episode.last === this.#clock.now())
      this.#tell(episode, undefined, 'routed', tier, slots.length)
  }

  moved(slot: PathSlot, held: boolean): void {
    this.#tell(this.#known.get(slot)?.episode, slot, held ? 'held' : 'moved', '')
  }

  freed(slot: PathSlot, count: number): void {
    if (count > 0) this.#tell(this.#known.get(slot)?.episode, slot, 'freed', '', count)
  }

  expired(): void {
    this.ended++
    const episode = this.#current()
    episode.expired++
    this.#tell(episode, undefined, 'expired', '')
  }

  done({ since }: Attempt, _status: IoStatus): void {
    const episode = this.#latest()
    const now = this.#clock.now()
    if (episode === undefined || (episode.ended !== undefined && now - episode.last > SAME)) return
    episode.longestWait = Math.max(episode.longestWait, now - since)
  }
}
