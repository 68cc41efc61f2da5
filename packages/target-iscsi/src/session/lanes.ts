import type { Task } from './task.ts'
import { Lane } from './task.ts'

// So much of the command window is for logical units that have nothing in it, where it is large enough.
const RESERVE = 16

/**
 * Shares the command window of a session between its logical units, in turn: what one of them does not answer must not
 * take all of it.
 */
export class Lanes {
  /** Tasks that wait for the window. */
  waiting = 0
  #sent = 0
  readonly #lanes = new Map<number, Lane>()
  // Those in which tasks wait.
  #queue: Lane[] = []

  /** The lane of a task; the task keeps it as long as it serves that logical unit. */
  of(task: Task): Lane {
    const known = task.lane
    if (known !== null && known.high === task.lunHigh && known.low === task.lunLow) return known
    const key = task.lunHigh + task.lunLow * 2 ** 32
    const lane = this.#lanes.get(key) ?? new Lane(task.lunHigh, task.lunLow)
    this.#lanes.set(key, lane)
    task.lane = lane
    return lane
  }

  /** Whether a command may go where the window has room for so many. */
  mayGo(lane: Lane, room: number): boolean {
    if (room <= 0) return false
    return lane.sent === 0 || this.#lanes.size === 1 || room > Math.min(RESERVE, (this.#sent + room) >> 2)
  }

  began(lane: Lane): void {
    lane.sent++
    this.#sent++
  }

  ended(task: Task): void {
    const lane = this.of(task)
    lane.sent--
    this.#sent--
  }

  push(task: Task): void {
    const lane = this.of(task)
    if (lane.waiting.head === null) this.#queue.push(lane)
    lane.waiting.push(task)
    this.waiting++
  }

  /** The next task that may go; null: none may. */
  next(room: number): Task | null {
    const index = this.#queue.findIndex((lane) => this.mayGo(lane, room))
    return index === -1 ? null : this.#shift(index)
  }

  /** Any task that waits; null: none does. */
  shift(): Task | null {
    return this.#queue.length === 0 ? null : this.#shift(0)
  }

  #shift(index: number): Task | null {
    const lane = this.#queue[index] as Lane
    const task = lane.waiting.shift()
    this.waiting--
    this.#queue.splice(index, 1)
    if (lane.waiting.head !== null) this.#queue.push(lane)
    return task
  }

  /** Takes tasks that wait out. */
  remove(tasks: readonly Task[]): void {
    for (const lane of new Set(tasks.map((task) => this.of(task)))) this.waiting -= lane.waiting.remove(tasks)
    this.#queue = this.#queue.filter(({ waiting }) => waiting.head !== null)
  }
}
