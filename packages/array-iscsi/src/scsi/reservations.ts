/** Types of persistent reservations (SPC-4 table 65). */
export const ReservationType = {
  writeExclusive: 1,
  exclusiveAccess: 3,
  writeExclusiveRegistrants: 5,
  exclusiveAccessRegistrants: 6,
  writeExclusiveAll: 7,
  exclusiveAccessAll: 8,
} as const

/** One registered I_T nexus. */
export interface Registration {
  /** Name of the nexus. */
  readonly name: string
  readonly initiatorPort: string
  /** Number of the portal. */
  readonly portal: number
  key: bigint
}

const valid: ReadonlySet<number> = new Set(Object.values(ReservationType))

/** Persistent reservations of a unit (SPC-4 §5.12). They outlive sessions. */
export class Reservations {
  readonly registrations = new Map<string, Registration>()
  /** Counts changes (PRgeneration). */
  generation = 0
  /** Type of the reservation; 0: there is none. */
  type = 0
  #holder = ''

  /** Whether there is a reservation. */
  get held(): boolean {
    return this.type !== 0
  }

  /** Whether every registered nexus holds the reservation. */
  get shared(): boolean {
    return this.type === ReservationType.writeExclusiveAll || this.type === ReservationType.exclusiveAccessAll
  }

  /** Whether registered nexuses have access that others do not have. */
  get forRegistrants(): boolean {
    return this.type >= ReservationType.writeExclusiveRegistrants
  }

  /** The registration that holds the reservation, where it is one. */
  get holder(): Registration | undefined {
    return this.shared ? undefined : this.registrations.get(this.#holder)
  }

  /** Whether the reservation is held by that nexus. */
  heldBy(name: string): boolean {
    return this.held && (this.shared ? this.registrations.has(name) : this.#holder === name)
  }

  /** Whether a nexus may run a command that reads, or `writes`. */
  allows(name: string, writes: boolean): boolean {
    if (this.heldBy(name)) return true
    if (this.forRegistrants && this.registrations.has(name)) return true
    const onlyWrites =
      this.type === ReservationType.writeExclusive ||
      this.type === ReservationType.writeExclusiveRegistrants ||
      this.type === ReservationType.writeExclusiveAll
    return onlyWrites && !writes
  }

  /** Whether there is such a type. */
  static knows(type: number): boolean {
    return valid.has(type)
  }

  /** Gives the reservation to a nexus. */
  reserve(name: string, type: number): void {
    this.type = type
    this.#holder = name
  }

  /** Ends the reservation. */
  release(): void {
    this.type = 0
    this.#holder = ''
  }

  /** Takes a registration away, and the reservation where it was the holder's, or the last of all; says whether it did. */
  unregister(name: string): boolean {
    const held = this.heldBy(name)
    this.registrations.delete(name)
    if (!held || (this.shared && this.registrations.size > 0)) return false
    this.release()
    return true
  }
}
