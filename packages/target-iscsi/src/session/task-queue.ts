/** What knows what stands behind it. */
interface Linked<Item> {
  next: Item | null
}

/** Tasks in order, linked by themselves. */
export class TaskQueue<Task extends Linked<Task>> {
  head: Task | null = null
  #tail: Task | null = null

  push(task: Task): void {
    task.next = null
    if (this.#tail === null) this.head = task
    else this.#tail.next = task
    this.#tail = task
  }

  shift(): Task | null {
    const task = this.head
    if (task === null) return null
    this.head = task.next
    if (this.head === null) this.#tail = null
    task.next = null
    return task
  }

  /** Takes tasks out, wherever they stand; returns how many there were. */
  remove(tasks: readonly Task[]): number {
    const gone = new Set(tasks)
    let count = 0
    let task = this.head
    this.head = null
    this.#tail = null
    while (task !== null) {
      const { next }: Linked<Task> = task
      task.next = null
      if (gone.has(task)) count++
      else this.push(task)
      task = next
    }
    return count
  }
}
