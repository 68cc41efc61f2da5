import type { Host } from '@blockbraid/core'
import type { Faults } from './faults/faults.ts'
import type { LoginsHost } from './logins.ts'
import { Logins } from './logins.ts'
import type { Records } from './records.ts'
import type { Task } from './scsi/task.ts'
import type { Mapping, Unit } from './scsi/unit.ts'
import type { SessionHooks, SessionIdentity } from './session/host.ts'
import type { Session } from './session/session.ts'
import type { ArraySettings } from './settings.ts'
import type { Units } from './units.ts'

/** A portal, as SendTargets tells of it. */
interface PortalAddress {
  readonly advertised: string
  readonly group: number
}

/** What an array does for its sessions. */
export class Services implements LoginsHost {
  readonly logins: Logins
  readonly records: Records
  readonly windowWidth: number
  readonly collapse: boolean
  readonly earlyStatus: boolean
  readonly keepsCdb: boolean
  readonly tpgs: number
  readonly reinstate: boolean | 'lazy'
  readonly loginAttention: boolean
  readonly targetName: string
  windowOpen = true
  readonly #faults: Faults
  readonly #host: Host
  readonly #units: Units
  readonly #portals: () => readonly PortalAddress[]

  constructor(
    settings: ArraySettings,
    host: Host,
    parts: { units: Units; faults: Faults; records: Records; portals: () => readonly PortalAddress[] },
  ) {
    this.targetName = settings.name
    this.windowWidth = settings.window
    this.collapse = settings.collapseStatus
    this.earlyStatus = settings.earlyStatus
    this.keepsCdb = settings.log
    this.tpgs = settings.tpgs
    this.reinstate = settings.reinstate
    this.loginAttention = settings.loginAttention
    this.records = parts.records
    this.#faults = parts.faults
    this.#host = host
    this.#units = parts.units
    this.#portals = parts.portals
    this.logins = new Logins(this)
  }

  get hooks(): SessionHooks {
    return this.#faults.hooks
  }

  mappingsOf(portal: number): Iterable<Mapping> {
    return this.#units.of(portal).values()
  }

  luns(mapped: Iterable<number>): readonly number[] {
    const luns = [...mapped].sort((a, b) => a - b)
    if (this.#faults.phantomLuns === 0) return luns
    const phantoms = Array.from({ length: this.#faults.phantomLuns }, (_, lun) => lun)
    return [...new Set([...luns, ...phantoms])]
  }

  targets(wanted: string): readonly (readonly [string, string])[] {
    if (wanted !== 'All' && wanted !== '' && wanted !== this.targetName) return []
    const addresses = this.#portals().map(
      ({ advertised, group }) => ['TargetAddress', `${advertised},${group}`] as const,
    )
    return [['TargetName', this.targetName], ...addresses]
  }

  sessions(): Iterable<Session> {
    return this.logins.live()
  }

  async abortNexuses(unit: Unit, names: ReadonlySet<string>): Promise<void> {
    const ended: Promise<void>[] = []
    for (const session of this.logins.live()) {
      for (const task of [...session.tasks.values()]) {
        const { nexus } = task
        if (nexus !== null && nexus.mapping.unit === unit && names.has(nexus.name)) ended.push(session.abort(task))
      }
    }
    await Promise.all(ended)
  }

  taskManagementVerdict(portal: number, action: number): number {
    this.records.taskManagement++
    return this.#faults.managementVerdict(portal, action)
  }

  count(opcode: number): void {
    this.records.count(opcode)
  }

  countAborts(tasks: number): void {
    this.records.aborts += tasks
  }

  record(identity: SessionIdentity, task: Task): void {
    if (this.keepsCdb) this.records.record(identity, task)
  }

  violation(text: string): void {
    this.records.violation(text)
  }

  ignored(): void {
    this.records.ignored++
  }

  stray(bytes: number): void {
    this.records.strayBytes += bytes
  }

  pong(): void {
    this.records.pongs++
  }

  later(callback: () => void): void {
    this.#host.clock.after(0, callback)
  }

  loggedOut(): void {
    this.records.logouts++
  }
}
