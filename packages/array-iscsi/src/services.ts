import type { Host } from '@blockbraid/core'
import type { Faults } from './faults/faults.ts'
import { LoginStatus } from './login/status.ts'
import type { LoginsHost } from './logins.ts'
import { Logins } from './logins.ts'
import type { Records } from './records.ts'
import type { Task } from './scsi/task.ts'
import type { Mapping, TargetPort, Unit } from './scsi/unit.ts'
import type { Connection, ConnectionHost } from './session/connection.ts'
import type { SessionHooks, SessionIdentity } from './session/host.ts'
import type { Session } from './session/session.ts'
import type { ArraySettings } from './settings.ts'
import type { Units } from './units.ts'

/** A portal, as SendTargets tells of it. */
interface PortalAddress {
  readonly advertised: string
  readonly group: number
}

/** What an array does for its connections and sessions. */
export class Services implements LoginsHost {
  readonly logins: Logins
  readonly records: Records
  readonly windowWidth: number
  readonly collapse: boolean
  readonly earlyStatus: boolean
  readonly keepsCdb: boolean
  readonly tpgs: number
  readonly transitionTime: number
  readonly reinstate: boolean | 'lazy'
  readonly loginAttention: boolean
  readonly targetName: string
  windowOpen = true
  readonly #settings: ArraySettings
  readonly #faults: Faults
  readonly #host: Host
  readonly #units: Units
  readonly #portals: () => readonly PortalAddress[]

  constructor(
    settings: ArraySettings,
    host: Host,
    parts: { units: Units; faults: Faults; records: Records; portals: () => readonly PortalAddress[] },
  ) {
    this.#settings = settings
    this.targetName = settings.name
    this.windowWidth = settings.window
    this.collapse = settings.collapseStatus
    this.earlyStatus = settings.earlyStatus
    this.keepsCdb = settings.log
    this.tpgs = settings.tpgs
    this.transitionTime = settings.transitionTime
    this.reinstate = settings.reinstate
    this.loginAttention = settings.loginAttention
    this.records = parts.records
    this.#faults = parts.faults
    this.#host = host
    this.#units = parts.units
    this.#portals = parts.portals
    this.logins = new Logins(this)
  }

  /** What a new connection of a portal needs. */
  connectionHost(portal: TargetPort & { readonly open: Set<Connection> }): ConnectionHost {
    this.records.connections++
    const settings = this.#settings
    const faults = this.#faults
    const { number, group } = portal
    return {
      portal: number,
      targetName: settings.name,
      targetAlias: settings.alias,
      portalGroup: group,
      keys: settings.keys,
      chap: settings.chap,
      discoveryChap: settings.discoveryChap,
      segment: settings.loginSegment,
      loginTimeout: settings.loginTimeout,
      endless: faults.loginRule(number, 'endless') !== undefined,
      mute: faults.loginRule(number, 'mute') !== undefined,
      after: (milliseconds, callback) => this.#host.clock.after(milliseconds, callback),
      verdict: ({ tsih, discovery }) => {
        // One connection is all a session has: none can be added, and none replaced.
        if (tsih !== 0) return { status: LoginStatus.sessionDoesNotExist }
        const rule = faults.refusal(number, discovery)
        if (rule === undefined) return { status: LoginStatus.success }
        const status = rule.status ?? LoginStatus.serviceUnavailable
        return rule.address === undefined ? { status } : { status, address: rule.address }
      },
      admit: (login, connection) => this.logins.admit(login, connection, portal),
      violation: (text) => this.records.violation(text),
      closed: (connection) => {
        portal.open.delete(connection)
        if (connection.session !== undefined) void this.logins.lost(connection.session)
      },
      tapFor: (connection) => faults.tapFor(connection),
    }
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
