/** Options of control calls. */
export interface SignalOptions {
  /** Ends the call early with an ABORTED error; `close` then stops waiting, and what is in flight ends early. */
  signal?: AbortSignal | undefined
}
