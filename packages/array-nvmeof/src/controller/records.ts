import type { NvmeCounters, NvmeLogEntry } from '../options/types.ts'

/** The most violations and log entries that are kept. */
const MOST = 1_000_000

/** What an array counts, and what it writes down. */
export class Records implements NvmeCounters {
  connections = 0
  controllers = 0
  queues = 0
  refused = 0
  disables = 0
  shutdowns = 0
  keepAlives = 0
  expirations = 0
  crossResets = 0
  aborts = 0
  events = 0
  terminations = 0
  dropped = 0
  strayBytes = 0
  readonly #opcodes = new Float64Array(256)
  readonly #adminOpcodes = new Float64Array(256)
  readonly violations: string[] = []
  readonly log: NvmeLogEntry[] = []

  get commands(): Record<number, number> {
    return countsOf(this.#opcodes)
  }

  get adminCommands(): Record<number, number> {
    return countsOf(this.#adminOpcodes)
  }

  count(admin: boolean, opcode: number): void {
    if (admin) this.#adminOpcodes[opcode]!++
    else this.#opcodes[opcode]!++
  }

  violation(text: string): void {
    if (this.violations.length < MOST) this.violations.push(text)
  }

  record(entry: NvmeLogEntry): void {
    if (this.log.length < MOST) this.log.push(entry)
  }
}

function countsOf(counts: Float64Array): Record<number, number> {
  return Object.fromEntries([...counts.entries()].filter(([, count]) => count > 0))
}
