import type { Io, IoOp, IoView, PathSelector, PathView } from '@blockbraid/core'

/** A policy that gets what core would give it: views that cannot be written, its own copy of the list, no Io. */
export interface BehindWall extends Omit<PathSelector, 'select'> {
  /** The copy that the last `update` got. */
  readonly given: readonly PathView[]
  /** `clock.now()` as the policy sees it, µs. */
  now: number
  /** With an Io, which the policy sees a view of; gives back the view of the list that its answer stands for. */
  select(io: Io): PathView | undefined
}

/** Puts a policy behind the wall that core has around it; the views of a list stay the caller's to write. */
export function behindWall(selector: PathSelector): BehindWall {
  const views = new Map<PathView, PathView>()
  const originals = new Map<unknown, PathView>()
  let given: PathView[] = []
  let current: Io | undefined
  const shown: IoView = Object.freeze({
    get op(): IoOp {
      return current === undefined ? 0 : current.op
    },
    get flags(): number {
      return current === undefined ? 0 : current.flags
    },
    get offset(): number {
      return current === undefined ? 0 : current.offset
    },
    get length(): number {
      return current === undefined ? 0 : current.length
    },
    get now(): number {
      return current === undefined ? 0 : wall.now
    },
  })
  const viewOf = (original: PathView): PathView => {
    const known = views.get(original)
    if (known !== undefined) return known
    const view = Object.freeze(new ReadOnlyView(original))
    views.set(original, view)
    originals.set(view, original)
    return view
  }
  const wall: BehindWall = {
    name: selector.name,
    now: 0,
    get given() {
      return given
    },
    update(list) {
      given = list.map(viewOf)
      selector.update(given)
    },
    select(io) {
      current = io
      try {
        const picked = selector.select(shown)
        return originals.get(picked) ?? picked
      } finally {
        current = undefined
      }
    },
  }
  return wall
}

class ReadOnlyView implements PathView {
  readonly #original: PathView

  constructor(original: PathView) {
    this.#original = original
  }

  get id() {
    return this.#original.id
  }

  get target() {
    return this.#original.target
  }

  get address() {
    return this.#original.address
  }

  get access() {
    return this.#original.access
  }

  get weight() {
    return this.#original.weight
  }

  get queueDepth() {
    return this.#original.queueDepth
  }

  get inflight() {
    return this.#original.inflight
  }

  get inflightBytes() {
    return this.#original.inflightBytes
  }

  get latency() {
    return this.#original.latency
  }

  get throughput() {
    return this.#original.throughput
  }

  get errors() {
    return this.#original.errors
  }

  get upSince() {
    return this.#original.upSince
  }
}
