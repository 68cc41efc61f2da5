import { EventEmitter } from 'eventemitter3'
import type { Events } from './events.ts'

/** The side of {@link Events} that the owner of the events keeps to itself. */
export interface Emitter<Map extends object> extends Events<Map> {
  /** Calls the listeners of `event`; returns whether there was one. */
  emit<Name extends keyof Map & string>(event: Name, detail: Map[Name]): boolean
  /** How many listeners `event` has. */
  listenerCount(event: keyof Map & string): number
}

/** Makes an {@link Emitter}, for authors of plugins. */
export function createEmitter<Map extends object>(): Emitter<Map> {
  return new EventEmitter() as unknown as Emitter<Map>
}
