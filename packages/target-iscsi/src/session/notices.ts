import type { Clock, Timer } from '@blockbraid/core'
import { BlockError } from '@blockbraid/core'
import { get32 } from '@blockbraid/wire'

/** What async messages ask of a session. */
export interface NoticeHost {
  readonly clock: Clock
  readonly maxRecvDataSegmentLength: number
  /** Whether commands are with the target. */
  busy(): boolean
  /** A SCSI event that belongs to no command. */
  event(lunHigh: number, lunLow: number, sense: Uint8Array): void
  /** No command is begun from now on. */
  leave(): void
  logout(): Promise<void>
  text(payload: Buffer, limit: number): Promise<Buffer>
  /** The target takes data segments of so many bytes from now on. */
  useMaxSend(bytes: number): void
  drop(error: BlockError): void
  /** The target ends it. */
  ended(error: BlockError): void
}

/** Events of an Async Message (RFC 7143 §11.9.1). */
const AsyncEvent = { Scsi: 0, Logout: 1, DropConnection: 2, DropSession: 3, Negotiate: 4 } as const

/** Does what the target's Async Messages ask for (RFC 7143 §11.9). */
export class Notices {
  readonly #host: NoticeHost
  #leaving: Timer | undefined
  #negotiating = false

  constructor(host: NoticeHost) {
    this.#host = host
  }

  /** A message has come. */
  take(header: Buffer, data: Buffer): void {
    switch (header[36]) {
      case AsyncEvent.Scsi: {
        const length = data.length < 2 ? 0 : Math.min(data.readUInt16BE(0), data.length - 2)
        return this.#host.event(get32(header, 8), get32(header, 12), data.subarray(2, 2 + length))
      }
      case AsyncEvent.Logout:
        return this.#leave(header.readUInt16BE(42))
      case AsyncEvent.DropConnection:
      case AsyncEvent.DropSession:
        return this.#host.ended(new BlockError('CONNECT_FAILED', 'the target says that it drops the connection'))
      case AsyncEvent.Negotiate:
        return this.#renegotiate()
      default:
    }
  }

  /** The session has ended. */
  stop(): void {
    this.#leaving?.cancel()
  }

  /** The target wants this session to end within some seconds: what is in flight may end, nothing is begun. */
  #leave(seconds: number): void {
    if (this.#leaving !== undefined) return
    const host = this.#host
    const { clock } = host
    const error = new BlockError('CONNECT_FAILED', 'the target asked for a logout')
    const deadline = clock.now() + Math.max(1, seconds) * 500_000
    const drop = (): void => host.drop(error)
    const look = (): void => {
      const busy = host.busy()
      if (busy && clock.now() < deadline) this.#leaving = clock.after(10, look)
      else if (busy) drop()
      else void host.logout().then(drop, drop)
    }
    this.#leaving = clock.after(0, look)
    host.leave()
  }

  #renegotiate(): void {
    if (this.#negotiating) return
    this.#negotiating = true
    const host = this.#host
    const keys = `MaxRecvDataSegmentLength=${host.maxRecvDataSegmentLength}\0`
    host.text(Buffer.from(keys), 65_536).then(
      (answer) => {
        this.#negotiating = false
        const told = /(?:^|\0)MaxRecvDataSegmentLength=(\d{3,8})\0/.exec(answer.toString('latin1'))
        if (told !== null) host.useMaxSend(Math.min(Math.max(512, Number(told[1])), 0xff_ffff))
      },
      (error: BlockError) => host.drop(error),
    )
  }
}
