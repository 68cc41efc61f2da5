import { run } from './commands.ts'
import { GOOD } from './outcome.ts'
import type { Task } from './task.ts'

/** The commands that a logical unit executes, of all sessions, in the order that their attributes ask for (SAM-5 §8.6). */
export class TaskSet {
  #running = 0
  #ordered = false
  #waiting: Task[] = []

  /** Starts a command, or lets it wait for an ordered one, or as one. */
  enter(task: Task): void {
    if (this.#waiting.length > 0 || !this.#mayStart(task)) this.#waiting.push(task)
    else this.#start(task)
  }

  /** One has ended. */
  leave(task: Task): void {
    this.#running--
    if (task.ordered) this.#ordered = false
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      if (!this.#mayStart(next)) return
      this.#waiting.shift()
      this.#start(next)
    }
  }

  #mayStart(task: Task): boolean {
    return !this.#ordered && (!task.ordered || this.#running === 0)
  }

  #start(task: Task): void {
    this.#running++
    this.#ordered = task.ordered
    // Aborted while it waited: it is not executed any more.
    if (task.aborted || task.session?.live === false) task.session?.end(task, GOOD)
    else run(task)
  }
}
