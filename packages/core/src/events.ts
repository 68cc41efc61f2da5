/**
 * State changes of a device, a path, a pair. Satisfied by eventemitter3 and by node:events. There is
 * no `error` event, and none is emitted per I/O.
 */
export interface Events<Map extends object> {
  /** Calls `listener` on each event of that name. */
  on<Name extends keyof Map & string>(event: Name, listener: (detail: Map[Name]) => void): unknown
  /** Calls `listener` on the next event of that name only. */
  once<Name extends keyof Map & string>(event: Name, listener: (detail: Map[Name]) => void): unknown
  /** Removes a listener. */
  off<Name extends keyof Map & string>(event: Name, listener: (detail: Map[Name]) => void): unknown
}
