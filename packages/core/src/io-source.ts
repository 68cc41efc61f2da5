/**
 * Who submits Ios, such as one connection of a client. Made once per connection and put into {@link Io.source};
 * whoever goes tells the device so by {@link BlockDevice.abandon}.
 */
export class IoSource {
  /** Nobody waits for its Ios any more: they are not tried again. */
  gone = false
  /** `clock.now()` when it came, µs. */
  readonly since: number

  constructor(since: number) {
    this.since = since
  }
}
