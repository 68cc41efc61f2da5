/**
 * Who submits Ios, such as one connection of a client. Made once per connection and put into {@link Io.source};
 * whoever goes tells the device so by {@link BlockDevice.abandon}.
 */
export class IoSource {
  /** Nobody waits for its Ios any more: they are not tried again. */
  gone = false
  /** `clock.now()` when it came, µs; 0: it is part of this program, and was always there. */
  since: number
  /** Whether its flushes are for what it has written itself since then, as those that make one write durable. */
  readonly ownOnly: boolean

  constructor(since: number, ownOnly = false) {
    this.since = since
    this.ownOnly = ownOnly
  }
}
