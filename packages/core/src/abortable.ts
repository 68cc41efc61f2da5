import { BlockError } from './errors.ts'

/** The error of a signal that fired: TIMED_OUT for one of AbortSignal.timeout, else ABORTED. */
function abortError(signal: AbortSignal): BlockError {
  const cause: unknown = signal.reason
  const late = cause instanceof Error && cause.name === 'TimeoutError'
  return new BlockError(late ? 'TIMED_OUT' : 'ABORTED', late ? 'no answer in time' : 'aborted', { cause })
}

/** Throws when the signal has fired. */
export function throwIfAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw abortError(signal)
}

/** `promise`, or the error of the signal if that fires first. */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise
  return new Promise((resolve, reject) => {
    const onAbort = (): void => reject(abortError(signal))
    if (signal.aborted) onAbort()
    else signal.addEventListener('abort', onAbort, { once: true })
    const forget = (): void => signal.removeEventListener('abort', onAbort)
    promise.then(resolve, reject).finally(forget)
  })
}
