import type { Clock, Timer } from '@blockbraid/core'

/** A connection that needs memory of its server. */
export interface MemoryUser {
  /** Bytes that came from the client, and that it has taken, so far. */
  readonly moved: number
  /** Whether something waits for the client: the rest of a payload, or that it takes replies. */
  readonly awaitsClient: boolean
  /** Bytes of replies that it has not taken. */
  readonly unsent: number
  /** There may be memory now for what did not get it. */
  retry(): void
  /** It holds memory that others wait for, and its client does not move. */
  evict(reason: string): void
}

/** What one connection has of its server's memory. */
export class MemoryShare {
  readonly user: MemoryUser
  /** Bytes that it has of what all connections share. */
  charge = 0
  kind: Kind = Kind.Small
  waiting = false
  /** Checks in a row in which its client has hardly moved. */
  strikes = 0
  movedBefore = 0
  readonly #memory: ServerMemory

  constructor(memory: ServerMemory, user: MemoryUser) {
    this.#memory = memory
    this.user = user
  }

  /** Whether the connection may hold `held` bytes in all. If not, it waits its turn: `retry` is called then. */
  takes(held: number): boolean {
    return this.#memory.take(this, held)
  }

  /** Whether it may now, though it does not wait if not; who waits gets nothing beside that. */
  fits(held: number): boolean {
    return this.#memory.fits(this, held)
  }

  /** Tells what the connection holds now. */
  holds(held: number): void {
    this.#memory.keep(this, held)
  }

  /** It does not wait any more. */
  forgo(): void {
    if (this.waiting) this.#memory.forgo(this)
  }

  /** It is over. What it still holds it tells. */
  leave(): void {
    this.#memory.leave(this)
  }
}

const Kind = { Small: 0, Large: 1 } as const
type Kind = (typeof Kind)[keyof typeof Kind]

/** Bytes of the shared memory with which a connection is a small user; the largest requests of usual clients are below. */
const SMALL = 2 * 2 ** 20

// While others wait, a client that holds shared memory moves this much in each CHECK, or is ended after STRIKES of
// them, and as many more as it leaves replies of 1 MiB: how far it is in one reply does not show.
const CHECK = 1000
const PACE = 256 * 1024
const STRIKES = 5

/**
 * The memory for payloads of all connections of a server. Half of it is split evenly among as many as there may be, so
 * that each can always do something; the other half is shared. Small and large users each have a queue and a quarter
 * of that to themselves, so that neither keeps the other out.
 */
export class ServerMemory {
  /** Bytes that a connection may always hold. */
  readonly own: number
  readonly #clock: Clock
  readonly #shared: number
  readonly #used: [small: number, large: number] = [0, 0]
  readonly #queues: readonly [small: Set<MemoryShare>, large: Set<MemoryShare>] = [new Set(), new Set()]
  readonly #shares = new Set<MemoryShare>()
  #serving = false
  #check: Timer | undefined

  constructor(clock: Clock, bytes: number, maxConnections: number) {
    this.#clock = clock
    this.#shared = bytes / 2
    this.own = Math.floor(bytes / 2 / maxConnections)
  }

  /** Bytes of the shared half in use. */
  get used(): number {
    return this.#used[Kind.Small] + this.#used[Kind.Large]
  }

  share(user: MemoryUser): MemoryShare {
    const share = new MemoryShare(this, user)
    this.#shares.add(share)
    return share
  }

  take(share: MemoryShare, held: number): boolean {
    const charge = this.#charge(held)
    const queue = this.#queues[kindOf(charge)]
    if (charge > share.charge && (!this.#fits(share, charge) || !isFirst(queue, share))) {
      if (!queue.has(share)) this.#dequeue(share)
      queue.add(share)
      share.waiting = true
      this.#check ??= this.#clock.after(CHECK, this.#onCheck)
      return false
    }
    if (share.waiting) this.#dequeue(share)
    this.#set(share, charge)
    return true
  }

  fits(share: MemoryShare, held: number): boolean {
    const charge = this.#charge(held)
    return (
      charge <= share.charge || (!share.waiting && this.#queues[kindOf(charge)].size === 0 && this.#fits(share, charge))
    )
  }

  keep(share: MemoryShare, held: number): void {
    const charge = this.#charge(held)
    if (charge === share.charge) return
    this.#set(share, charge)
    this.#changed()
  }

  /** Lets those who wait try again, at the end of this turn. */
  #changed(): void {
    if (this.#serving || (this.#queues[Kind.Small].size === 0 && this.#queues[Kind.Large].size === 0)) return
    this.#serving = true
    process.nextTick(this.#serve)
  }

  forgo(share: MemoryShare): void {
    this.#dequeue(share)
    this.#changed()
  }

  leave(share: MemoryShare): void {
    this.#shares.delete(share)
    share.forgo()
  }

  #charge(held: number): number {
    return held > this.own ? held - this.own : 0
  }

  #fits(share: MemoryShare, charge: number): boolean {
    const kind = kindOf(charge)
    const ofKind = this.#used[kind] - (share.kind === kind ? share.charge : 0)
    // One of each kind always goes on, also where it needs more than there is.
    if (ofKind === 0) return true
    return ofKind + charge <= this.#shared * 0.75 && this.used - share.charge + charge <= this.#shared
  }

  #set(share: MemoryShare, charge: number): void {
    this.#used[share.kind] -= share.charge
    share.kind = kindOf(charge)
    share.charge = charge
    this.#used[share.kind] += charge
  }

  #dequeue(share: MemoryShare): void {
    share.waiting = false
    for (const queue of this.#queues) queue.delete(share)
  }

  readonly #serve = (): void => {
    this.#serving = false
    for (const queue of this.#queues) {
      for (const first of queue) {
        first.user.retry()
        if (queue.has(first) && isFirst(queue, first)) break
      }
    }
  }

  readonly #onCheck = (): void => {
    this.#check = undefined
    if (this.#queues[Kind.Small].size === 0 && this.#queues[Kind.Large].size === 0) return
    this.#check = this.#clock.after(CHECK, this.#onCheck)
    for (const share of this.#shares) {
      const { moved, awaitsClient, unsent } = share.user
      const moves = moved - share.movedBefore >= PACE
      share.movedBefore = moved
      if (share.charge === 0 || !awaitsClient || moves) share.strikes = 0
      else if (++share.strikes > STRIKES + unsent / 2 ** 20) share.user.evict('too slow while others wait for memory')
    }
  }
}

function kindOf(charge: number): Kind {
  return charge > SMALL ? Kind.Large : Kind.Small
}

function isFirst(queue: Set<MemoryShare>, share: MemoryShare): boolean {
  for (const first of queue) return first === share
  return true
}
