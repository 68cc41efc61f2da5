import type { Path, PathInfo, Target } from '@blockbraid/core'
import { IoOp } from '@blockbraid/core'
import type { Hanging } from '@blockbraid/testkit'
import { forward, hanging } from '@blockbraid/testkit'

const CHANGES = { ops: [IoOp.Write, IoOp.WriteZeroes, IoOp.Trim] }

/** Holds what changes data through one port; what is held when its session or controller ends is never executed. */
export class Gate {
  readonly #paths = new Set<Hanging>()
  #closed = false

  get closed(): boolean {
    return this.#closed
  }

  /** Commands that it holds. */
  get held(): number {
    let count = 0
    for (const { held } of this.#paths) count += held
    return count
  }

  close(): void {
    this.#closed = true
    for (const path of this.#paths) path.hang()
  }

  open(): void {
    this.#closed = false
    for (const path of this.#paths) path.release()
  }

  /** The path, as it is behind the gate. */
  before(path: Path): Path {
    const held = hanging(path, CHANGES)
    if (this.#closed) held.hang()
    this.#paths.add(held)
    return forward<Path>(held, {
      close: (options) => {
        this.#paths.delete(held)
        return held.close(options)
      },
    })
  }
}

/** The same target with the paths of some ports only, each behind the gate of its port; `portOf` tells a path's port. */
export function throughGates(
  target: Target,
  gates: ReadonlyMap<number, Gate>,
  portOf: (info: PathInfo) => number,
): Target {
  return {
    name: target.name,
    ...(target.events === undefined ? {} : { events: target.events }),
    discover: async (options) => (await target.discover(options)).filter((info) => gates.has(portOf(info))),
    connect: async (info, options) => gates.get(portOf(info))!.before(await target.connect(info, options)),
    // It belongs to whoever made it.
    close: async () => {},
  }
}
