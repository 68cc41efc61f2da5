import { Command } from './command.ts'

/** Every command of a queue, found by CID as long as the controller has it. */
export class CommandTable {
  readonly all: Command[] = []
  /** How many were taken and not given back. */
  busy = 0
  /** How many of them the controller has. */
  sent = 0
  readonly #queue: number
  #idle: Command | null = null
  /** Commands that the controller has; the place is in the low bits of the CID. */
  readonly #places: (Command | null)[]
  readonly #bits: number
  readonly #generations: Uint16Array
  // Places that are free, the one that has been so for longest first: a CID returns as late as it can.
  readonly #free: Uint16Array
  #first = 0

  /** `places`: how many commands the controller may have at once. */
  constructor(queue: number, places: number) {
    this.#queue = queue
    this.#places = new Array<Command | null>(places).fill(null)
    // One more than needed where that is a power of two: FFFFh, which means no command, is never a CID.
    this.#bits = 32 - Math.clz32(places)
    this.#generations = new Uint16Array(places)
    this.#free = Uint16Array.from({ length: places }, (_, place) => place)
  }

  /** How many more the controller may have. */
  get room(): number {
    return this.#places.length - this.sent
  }

  /** An idle command: as many as are wanted, as each is that of a caller, or has one of the places. */
  take(): Command {
    const command = this.#idle
    if (command !== null) {
      this.busy++
      this.#idle = command.next
      command.next = null
      return command
    }
    this.busy++
    const made = new Command(this.#queue)
    this.all.push(made)
    return made
  }

  /** Gives a command back that the controller does not have. */
  give(command: Command): void {
    this.busy--
    command.clear()
    command.next = this.#idle
    this.#idle = command
  }

  /** The controller gets a command: it has a CID from now on. There must be room. */
  enter(command: Command): void {
    const place = this.#free[this.#first] as number
    this.#first = this.#first + 1 === this.#free.length ? 0 : this.#first + 1
    this.sent++
    const generation = ((this.#generations[place] as number) + 1) & (0xffff >>> this.#bits)
    this.#generations[place] = generation
    command.cid = (generation << this.#bits) | place
    this.#places[place] = command
  }

  /** The controller has a command no longer. */
  leave(command: Command): void {
    const place = command.cid & ((1 << this.#bits) - 1)
    this.#places[place] = null
    const last = this.#first - this.sent
    this.#free[last < 0 ? last + this.#free.length : last] = place
    this.sent--
  }

  /** The command that the controller has under this CID, or undefined. */
  find(cid: number): Command | undefined {
    const command = this.#places[cid & ((1 << this.#bits) - 1)]
    return command !== undefined && command !== null && command.cid === cid ? command : undefined
  }
}
