import type { BlockDevice, Clock, IoStatus } from '@blockbraid/core'
import { Io, NO_BUFFERS, OK } from '@blockbraid/core'

/** A load that keeps as many Ios in flight as it has slots: each is sent again when it is done. */
export interface ClosedLoopOptions {
  /** Of the device under load. */
  clock: Clock
  /** Ios in flight. */
  depth: number
  /** Fills in op, offset and length of the Io that one of the slots, 0 to `depth` - 1, sends next. */
  next(io: Io, slot: number): void
  /** Whether one that could be sent now is sent; the load has ended when none is and none is in flight. */
  goesOn(sent: number): boolean
  /** Hears of each that is done, with its time from submit to done, µs. */
  done?(io: Io, status: IoStatus, latency: number): void
}

/** What became of a load. */
export interface ClosedLoopReport {
  /** Ios done with success. */
  readonly ios: number
  /** Ios that failed. */
  readonly failed: number
  /** Bytes of those with success. */
  readonly bytes: number
  /** From submit to done of those with success, µs, in the order of their ends. */
  readonly latencies: readonly number[]
}

/** Runs a load; settles when its last Io is done. Reads bring no buffers; a write must be given some by `next`. */
export function closedLoop(device: BlockDevice, options: ClosedLoopOptions): Promise<ClosedLoopReport> {
  const { clock, depth, next, goesOn, done } = options
  const latencies: number[] = []
  let [sent, inflight, failed, bytes] = [0, 0, 0, 0]
  return new Promise((resolve) => {
    const send = (io: Io, slot: number): void => {
      if (!goesOn(sent)) {
        if (inflight === 0) resolve({ ios: latencies.length, failed, bytes, latencies })
        return
      }
      io.buffers = NO_BUFFERS
      next(io, slot)
      sent++
      inflight++
      const begun = clock.now()
      io.done = (_io, status) => {
        inflight--
        const latency = clock.now() - begun
        if (status === OK) {
          latencies.push(latency)
          bytes += io.length
        } else failed++
        done?.(io, status, latency)
        send(io, slot)
      }
      device.submit(io)
    }
    for (let slot = 0; slot < depth; slot++) send(new Io(), slot)
    if (sent === 0) resolve({ ios: 0, failed, bytes, latencies })
  })
}
