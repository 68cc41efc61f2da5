import type { Lane } from '@blockbraid/wire'
import type { Command } from './command.ts'
import type { Queue } from './queue.ts'

/** The part of a namespace in the I/O queues of an association, as long as it is used. */
export class Share {
  /** Its lanes, each at the identifier of its queue; the admin queue has none. */
  readonly lanes: (Lane<Command> | null)[] = []
  readonly #queues: readonly Queue[]

  constructor(queues: readonly Queue[], nsid: number) {
    this.#queues = queues
    for (const { id, lanes } of queues) {
      const lane = lanes.of(nsid)
      lanes.open(lane)
      while (this.lanes.length < id) this.lanes.push(null)
      this.lanes[id] = lane
    }
  }

  /** Others may have it, but for what its commands still hold; once. */
  end(): void {
    for (const { id, lanes } of this.#queues) lanes.close(this.lanes[id] as Lane<Command>)
  }
}
