import type { Path } from '@blockbraid/core'
import { BlockError } from '@blockbraid/core'
import type { TargetLogin } from './login/target-login.ts'
import type { Records } from './records.ts'
import { Nexus } from './scsi/nexus.ts'
import { Attention } from './scsi/outcome.ts'
import type { Mapping, TargetPort } from './scsi/unit.ts'
import type { Connection } from './session/connection.ts'
import type { SessionHost } from './session/host.ts'
import { Session } from './session/session.ts'

/** What {@link Logins} need of their array. */
export interface LoginsHost extends SessionHost {
  readonly reinstate: boolean | 'lazy'
  readonly loginAttention: boolean
  readonly records: Records
  mappingsOf(portal: number): Iterable<Mapping>
}

/** Sessions, those included that have lost their connection and still have something in a device. */
export class Logins {
  readonly #host: LoginsHost
  readonly #sessions = new Map<Session, Connection>()
  /** By initiator, ISID and portal group: the last login that was admitted, or waits. */
  readonly #turns = new Map<string, Promise<unknown>>()
  /** Nexuses that have had a session. */
  readonly #known = new Set<string>()
  #tsih = 0

  constructor(host: LoginsHost) {
    this.#host = host
  }

  /** Sessions with a live connection. */
  *live(): Generator<Session> {
    for (const session of this.#sessions.keys()) if (session.live) yield session
  }

  connectionOf(session: Session): Connection | undefined {
    return this.#sessions.get(session)
  }

  /** Makes the session of a login, after it has ended older ones of the same initiator port (RFC 7143 §6.3.5). */
  admit(login: TargetLogin, connection: Connection, portal: TargetPort): Promise<Session> {
    if (login.discovery) return this.#discover(login, connection, portal)
    const key = `${login.initiatorName},${login.isid},${portal.group}`
    const turn = (this.#turns.get(key) ?? Promise.resolve()).then(async () => {
      if (this.#host.reinstate !== false) await this.#fenceOthers(login, portal)
      return this.#enter(login, connection, portal)
    })
    this.#turns.set(
      key,
      turn.catch(() => {}),
    )
    return turn
  }

  /** The connection of a session is gone. */
  async lost(session: Session): Promise<void> {
    await session.lose()
    this.#sessions.delete(session)
  }

  /** Ends every session, and everything it has in devices that are its own; others may still hold something. */
  async close(): Promise<void> {
    const all = [...this.#sessions]
    for (const [, connection] of all) connection.destroy()
    await Promise.all(all.map(([session]) => session.closeDevices()))
  }

  /** Gives a session a unit that is new on its portal. */
  async attach(session: Session, mapping: Mapping, signal: AbortSignal): Promise<Nexus | undefined> {
    const { initiatorName, isid } = session.identity
    const device = await mapping.open(initiatorName, signal)
    if (!session.live) {
      if (mapping.owned) await device.close()
      return undefined
    }
    const nexus = new Nexus(mapping, device, `${initiatorName},i,0x${isid}`)
    session.nexuses.set(mapping.lun, nexus)
    mapping.unit.nexuses.add(nexus)
    if (mapping.owned && 'events' in device)
      (device as Path).events.on('down', (error) => this.#down(session, nexus, error))
    return nexus
  }

  /** Takes a unit from a session. */
  detach(session: Session, nexus: Nexus): void {
    if (session.nexuses.get(nexus.mapping.lun) === nexus) session.nexuses.delete(nexus.mapping.lun)
    nexus.mapping.unit.nexuses.delete(nexus)
    nexus.gone = true
    if (nexus.mapping.owned) void nexus.device.close()
  }

  async #fenceOthers(login: TargetLogin, portal: TargetPort): Promise<void> {
    const others = [...this.#sessions].filter(([{ identity }]) => {
      const same = identity.initiatorName === login.initiatorName && identity.isid === login.isid
      return same && identity.portalGroup === portal.group && !identity.discovery
    })
    for (const [session, connection] of others) {
      if (session.live) this.#host.records.reinstatements++
      connection.destroy()
      const fenced = session.fence()
      if (this.#host.reinstate !== 'lazy') await fenced
      this.#sessions.delete(session)
    }
  }

  // A port that is down or hangs tells of no targets either.
  async #discover(login: TargetLogin, connection: Connection, portal: TargetPort): Promise<Session> {
    const [first] = this.#host.mappingsOf(portal.number)
    if (first?.owned === true) await (await first.open(login.initiatorName, connection.signal)).close()
    return this.#enter(login, connection, portal)
  }

  async #enter(login: TargetLogin, connection: Connection, portal: TargetPort): Promise<Session> {
    if (connection.over) throw new BlockError('CLOSED', 'the connection is gone')
    this.#tsih = (this.#tsih % 0xffff) + 1
    const { initiatorName, isid, cid, discovery } = login
    const session = new Session(
      { initiatorName, isid, tsih: this.#tsih, cid, discovery, portal: portal.number, portalGroup: portal.group },
      login.agreed,
      connection,
      this.#host,
      login.cmdSn,
      login.statSn,
    )
    this.#sessions.set(session, connection)
    try {
      if (!discovery) await this.#attachAll(session, connection)
    } catch (error) {
      void this.lost(session)
      throw error
    }
    this.#host.records.logins++
    return session
  }

  async #attachAll(session: Session, connection: Connection): Promise<void> {
    const mappings = [...this.#host.mappingsOf(session.identity.portal)]
    const found = await Promise.allSettled(mappings.map((mapping) => this.attach(session, mapping, connection.signal)))
    const failure = found.find((one) => one.status === 'rejected')
    // A port where nothing answers is as good as down; one unit that is gone just now is no reason.
    if (failure !== undefined && found.every((one) => one.status === 'rejected')) throw failure.reason
    if (connection.over) throw new BlockError('CLOSED', 'the connection is gone')
    for (const nexus of session.nexuses.values()) {
      const name = `${nexus.name} ${nexus.mapping.unit.volume}`
      const attention = this.#known.has(name) ? Attention.nexusLoss : Attention.powerOn
      this.#known.add(name)
      if (this.#host.loginAttention) nexus.raise(attention)
    }
  }

  // The session's own device has ended by itself: its volume is gone, or the whole port is.
  #down(session: Session, nexus: Nexus, error: Error): void {
    const gone = BlockError.is(error) && (error.code === 'NOT_FOUND' || error.code === 'IDENTITY_CHANGED')
    if (gone) this.detach(session, nexus)
    else session.drop()
  }
}
