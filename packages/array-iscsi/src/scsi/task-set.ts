/** A command that waits for its turn. */
export interface Turn {
  /** It waits for all before it, and those behind it wait for it. */
  readonly ordered: boolean
  /** The turn has come. */
  execute(): void
}

/** The commands that a logical unit executes, of all sessions, in the order that their attributes ask for (SAM-5 §8.6). */
export class TaskSet {
  #running = 0
  #ordered = false
  #waiting: Turn[] = []

  /** Starts a command, or lets it wait for an ordered one, or as one. */
  enter(task: Turn): void {
    if (this.#waiting.length > 0 || !this.#mayStart(task)) this.#waiting.push(task)
    else this.#start(task)
  }

  /** One has ended. */
  leave(task: Turn): void {
    this.#running--
    if (task.ordered) this.#ordered = false
    for (let next = this.#waiting[0]; next !== undefined; next = this.#waiting[0]) {
      if (!this.#mayStart(next)) return
      this.#waiting.shift()
      this.#start(next)
    }
  }

  #mayStart(task: Turn): boolean {
    return !this.#ordered && (!task.ordered || this.#running === 0)
  }

  #start(task: Turn): void {
    this.#running++
    this.#ordered = task.ordered
    task.execute()
  }
}
