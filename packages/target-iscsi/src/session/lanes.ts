import { Lanes } from '@blockbraid/wire'
import type { Task } from './task.ts'
import { LunLane } from './task.ts'

/** Shares the command window of a session between its logical units. */
export class LunLanes extends Lanes<Task> {
  readonly #lanes = new Map<number, LunLane>()

  constructor() {
    super(({ length }) => length)
  }

  /** The lane of a task; the task keeps it as long as it serves that logical unit. */
  of(task: Task): LunLane {
    const kept = task.lane
    if (kept !== null && kept.high === task.lunHigh && kept.low === task.lunLow) return kept
    const key = task.lunHigh + task.lunLow * 2 ** 32
    const lane = this.#lanes.get(key) ?? this.#made(key, task)
    task.lane = lane
    return lane
  }

  #made(key: number, { lunHigh, lunLow }: Task): LunLane {
    const lane = new LunLane(lunHigh, lunLow)
    this.#lanes.set(key, lane)
    // For good: a logical unit that was in use will be so again.
    this.open(lane)
    return lane
  }
}
