/** Bytes of a submission queue entry (NVMe Base 2.1 §4.1). */
export const SQE_LENGTH = 64

/** A command that a procedure wants to have run: its CID and its data pointer are filled in by the queue. */
export interface Submission {
  /** {@link SQE_LENGTH} bytes. */
  readonly sqe: Uint8Array
  /** What to send with it, or how many bytes it receives at most. */
  readonly data: Uint8Array | number
  /** Whether it may change data, so that a lost path must be fenced. @defaultValue false */
  readonly changes?: boolean
}

/** How a command was answered (NVMe Base 2.1 §4.2). */
export interface Completion {
  /** Status field without the phase: SC in bits 7:0, SCT 10:8, CRD 12:11, M 13, DNR 14; 0: success. */
  readonly status: number
  /** Dword 0. */
  readonly result: number
  /** Dword 1. */
  readonly resultHigh: number
  /** What came, perhaps less than was asked for. */
  readonly data: Uint8Array
}

/** A time to wait, milliseconds. */
export interface Pause {
  readonly pause: number
}

/** Work that must not block the event loop, such as a key exchange; it starts nothing that outlives it. */
export interface Work {
  readonly work: () => Promise<unknown>
}

/** What a procedure may ask for. */
export type Step = Submission | Pause | Work

/**
 * A sequence of steps that knows neither socket nor clock: each step is answered by what came of it, and a queue that is
 * lost is thrown into it. Steps are yielded through {@link submit}, {@link pause} and {@link work}, which give their types.
 */
export type Procedure<Result> = Generator<Step, Result, unknown>

/** Has a command run. */
export function* submit(submission: Submission): Procedure<Completion> {
  return (yield submission) as Completion
}

/** Waits, milliseconds. */
export function* pause(ms: number): Procedure<void> {
  yield { pause: ms }
}

/** Has work done. */
export function* work<Result>(start: () => Promise<Result>): Procedure<Result> {
  return (yield { work: start }) as Result
}
