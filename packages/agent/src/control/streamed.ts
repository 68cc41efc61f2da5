import type { Socket } from 'node:net'

/** An answer behind which bytes follow, until the client says anything, or closes. */
export class StreamedAnswer<Result = unknown> {
  readonly result: Result
  /** Gets the connection when the client has the answer. */
  readonly begin: (socket: Socket) => void

  constructor(result: Result, begin: (socket: Socket) => void) {
    this.result = result
    this.begin = begin
  }
}
