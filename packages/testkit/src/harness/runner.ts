/** What a suite needs of a test runner; that of vitest, of node:test or of mocha will do. */
export interface SuiteRunner {
  /** Makes a group of cases. */
  describe(title: string, body: () => void): unknown
  /** Makes a case; `timeout`, milliseconds, is when the runner may give up, where it takes that. */
  it: {
    (title: string, body: () => Promise<void>, timeout?: number): unknown
    /** Reports a case that does not apply; without it such cases are left out. */
    skip?(title: string, body: () => Promise<void>): unknown
  }
}

/** Time that a suite can move, such as a {@link VirtualClock}. */
export interface SuiteClock {
  /** Moves time until `goal` has settled, at most `limit` milliseconds. */
  runUntil<T>(goal: Promise<T>, limit?: number): Promise<T>
}

/** How long a case may take, and whose time it takes. */
export interface SuiteTiming {
  /** Milliseconds per case; default 10 000. Virtual ones when `clock` is given. */
  limit?: number
  /** The virtual clock that the plugin under test was given; the suite moves it. Default: real time. */
  clock?: SuiteClock
}

/** One case of a suite. */
export interface SuiteCase<Has, Scope> {
  /** Begins with the rule that it checks, such as `rule 3: `. */
  title: string
  /** Whether it applies to a plugin with these capabilities; left out: always. */
  when?(has: Has): boolean
  run(scope: Scope): Promise<void>
}

/** What a suite does around each of its cases. */
export interface CaseFrame<Scope> {
  begin(): Scope
  /** What the case waits for at this moment, for the message when it does not come. */
  waitingFor(scope: Scope): string
  /** Runs after the case, failed or not. */
  cleanUp(scope: Scope): Promise<void>
  /** Runs last when nothing failed. */
  verify(scope: Scope): void
}

const DEFAULT_LIMIT = 10_000
// Of real time, for a case in virtual time.
const VIRTUAL_LIMIT = 60_000

async function inRealTime<T>(work: Promise<T>, limit: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`not done within ${limit} ms`)), limit)
  })
  try {
    return await Promise.race([work, late])
  } finally {
    clearTimeout(timer)
  }
}

/** Settles as `work` does, or rejects when the case takes too long. */
export function bounded<T>(work: Promise<T>, timing: SuiteTiming): Promise<T> {
  const limit = timing.limit ?? DEFAULT_LIMIT
  return timing.clock === undefined ? inRealTime(work, limit) : timing.clock.runUntil(work, limit)
}

/** Later than any case gives up by itself, also where cleaning up hangs: else what it waited for would not be told. */
function runnerLimit({ limit = DEFAULT_LIMIT, clock }: SuiteTiming): number {
  return clock === undefined ? 2 * limit + 5000 : VIRTUAL_LIMIT
}

async function runCase<Scope>(
  run: (scope: Scope) => Promise<void>,
  frame: CaseFrame<Scope>,
  timing: SuiteTiming,
): Promise<void> {
  const scope = frame.begin()
  let settled = false
  const work = run(scope).finally(() => {
    settled = true
  })
  try {
    await bounded(work, timing)
  } catch (error) {
    work.catch(() => {})
    const stuck = settled ? error : new Error(`stuck, waiting for ${frame.waitingFor(scope)}`, { cause: error })
    await bounded(frame.cleanUp(scope), timing).catch(() => {})
    throw stuck
  }
  await bounded(frame.cleanUp(scope), timing)
  frame.verify(scope)
}

/** Registers the cases with the runner; those that do not apply are reported as skipped, by name. */
export function registerCases<Has, Scope>(
  runner: SuiteRunner,
  name: string,
  cases: readonly SuiteCase<Has, Scope>[],
  has: Has,
  frame: CaseFrame<Scope>,
  timing: SuiteTiming,
): void {
  runner.describe(name, () => {
    for (const { title, when, run } of cases) {
      const body = (): Promise<void> => runCase(run, frame, timing)
      if (when === undefined || when(has)) runner.it(title, body, runnerLimit(timing))
      else runner.it.skip?.(title, body)
    }
  })
}
