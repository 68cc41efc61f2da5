/** Kinds of reservations (NVMe Base 2.1 §8.1.22). */
const WRITE_EXCLUSIVE = 1
const WRITE_EXCLUSIVE_REGISTRANTS = 3
const WRITE_EXCLUSIVE_ALL = 5
const EXCLUSIVE_ACCESS_ALL = 6

/** Who is registered at a namespace, by Host ID, and what is reserved. */
export class Reservations {
  readonly registrants = new Map<string, bigint>()
  generation = 0
  /** 0: there is no reservation. */
  type = 0
  /** Host ID; '' where every registrant holds it. */
  holder = ''

  /** Whether such a reservation exists. */
  static knows(type: number): boolean {
    return Number.isInteger(type) && type >= WRITE_EXCLUSIVE && type <= EXCLUSIVE_ACCESS_ALL
  }

  get held(): boolean {
    return this.type !== 0
  }

  /** Whether every registrant holds it. */
  get ofAll(): boolean {
    return this.type === WRITE_EXCLUSIVE_ALL || this.type === EXCLUSIVE_ACCESS_ALL
  }

  /** Whether those who are not registered are all that it keeps away. */
  get ofRegistrants(): boolean {
    return this.type >= WRITE_EXCLUSIVE_REGISTRANTS
  }

  holds(host: string): boolean {
    return this.held && (this.ofAll ? this.registrants.has(host) : this.holder === host)
  }

  /** Whether commands of a host are executed. */
  allows(host: string, writes: boolean): boolean {
    if (!this.held || this.holds(host)) return true
    if (this.ofRegistrants && this.registrants.has(host)) return true
    const { type } = this
    const readers = type === WRITE_EXCLUSIVE || type === WRITE_EXCLUSIVE_REGISTRANTS || type === WRITE_EXCLUSIVE_ALL
    return readers && !writes
  }

  reserve(host: string, type: number): void {
    this.type = type
    this.holder = this.ofAll ? '' : host
  }

  release(): void {
    this.type = 0
    this.holder = ''
  }

  /** Takes a registration away, and its reservation with it; returns whether one was released. */
  unregister(host: string): boolean {
    const held = this.holds(host)
    this.registrants.delete(host)
    if (!held || (this.ofAll && this.registrants.size > 0)) return false
    this.release()
    return true
  }
}
