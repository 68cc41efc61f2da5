import type { Clock } from '../../clock.ts'
import type { TraceOptions, TraceSink } from '../../trace.ts'
import type { VolumeId } from '../../volume-id.ts'
import type { Engine } from '../engine.ts'
import type { PathSlot } from '../path-slot.ts'
import { Recorder } from './recorder.ts'

/** Whether, and to whom, a device tells all that it does. */
export class Tracing {
  readonly #clock: Clock
  readonly #volume: VolumeId
  readonly #engine: Engine
  #recorder: Recorder | undefined

  constructor(clock: Clock, volume: VolumeId, engine: Engine) {
    this.#clock = clock
    this.#volume = volume
    this.#engine = engine
  }

  /** See {@link MultipathDevice.trace}. */
  start(sink: TraceSink | undefined, { wall = 0 }: TraceOptions, slots: readonly PathSlot[]): void {
    if (sink !== undefined && typeof sink?.write !== 'function') {
      throw new TypeError(`sink is ${String(sink)}; it must be an object with a function write(chunk), or undefined`)
    }
    if (!Number.isFinite(wall)) throw new TypeError(`wall is ${wall}; it must be milliseconds since 1970`)
    this.stop(sink === undefined ? 'it was ended' : 'another trace has begun')
    if (sink === undefined) return
    const header = { clock: this.#clock.now(), wall, volume: this.#volume }
    const recorder = new Recorder(this.#clock, this.#engine.selection, header, sink, (error) => {
      if (this.#recorder === recorder) this.#forget()
      this.#clock.defer(() => {
        throw error
      })
    })
    this.#recorder = recorder
    for (const slot of slots) recorder.path(slot)
    this.#engine.trace(recorder)
  }

  /** Ends it, where there is one. */
  stop(why: string): void {
    const recorder = this.#recorder
    this.#forget()
    recorder?.close(why)
  }

  #forget(): void {
    this.#recorder = undefined
    this.#engine.trace(null)
  }

  /** A path may be other than it was. */
  slotChanged(slot: PathSlot): void {
    this.#recorder?.path(slot)
  }

  /** Something happened to the device, or to a path. */
  event(kind: string, slot: PathSlot | undefined, count: number, text: string): void {
    this.#recorder?.event(kind, slot, count, text)
  }
}
