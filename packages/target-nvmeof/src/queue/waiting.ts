import type { Command } from './command.ts'

/** Commands that wait, in order, linked by themselves. */
export class WaitingCommands {
  head: Command | null = null
  #tail: Command | null = null
  count = 0

  push(command: Command): void {
    command.next = null
    if (this.#tail === null) this.head = command
    else this.#tail.next = command
    this.#tail = command
    this.count++
  }

  shift(): Command | null {
    const command = this.head
    if (command === null) return null
    this.head = command.next
    if (this.head === null) this.#tail = null
    command.next = null
    this.count--
    return command
  }

  /** Takes commands out, wherever they stand. */
  remove(commands: ReadonlySet<Command>): void {
    for (let count = this.count; count > 0; count--) {
      const command = this.shift() as Command
      if (!commands.has(command)) this.push(command)
    }
  }
}
