import type { Events } from '@blockbraid/core'

/** {@link Events} with the other half: telling the listeners. */
export interface Emitter<Map extends object> extends Events<Map> {
  emit<Name extends keyof Map & string>(event: Name, detail: Map[Name]): void
}

/** A small event emitter for doubles and minimal plugins. */
export function createEmitter<Map extends object>(): Emitter<Map> {
  type Entry = { event: keyof Map; listener: (detail: never) => void; once: boolean }
  let entries: Entry[] = []
  return {
    on(event, listener) {
      entries = [...entries, { event, listener, once: false }]
    },
    once(event, listener) {
      entries = [...entries, { event, listener, once: true }]
    },
    off(event, listener) {
      entries = entries.filter((entry) => entry.event !== event || entry.listener !== listener)
    },
    emit(event, detail) {
      const due = entries.filter((entry) => entry.event === event)
      entries = entries.filter((entry) => !(entry.event === event && entry.once))
      for (const { listener } of due) listener(detail as never)
    },
  }
}
