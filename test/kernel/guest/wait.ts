import { setTimeout as sleep } from 'node:timers/promises'

// The machine is emulated, and its host may be busy.
const LIMIT = 60_000

/** Waits until `condition` is true; fails with `what` when that takes a minute. */
export async function until(what: string, condition: () => boolean | Promise<boolean>): Promise<void> {
  const end = performance.now() + LIMIT
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`not within ${LIMIT} ms: ${what}`)
    await sleep(20)
  }
}

/** What a promise resolves to; fails with `what` when that takes longer than `limit`, milliseconds. */
export async function within<Result>(what: string, promise: Promise<Result>, limit: number = LIMIT): Promise<Result> {
  const over = new AbortController()
  const late = sleep(limit, undefined, { signal: over.signal }).then(() => {
    throw new Error(`not within ${limit} ms: ${what}`)
  })
  try {
    return await Promise.race([promise, late])
  } finally {
    late.catch(() => {})
    over.abort()
  }
}
