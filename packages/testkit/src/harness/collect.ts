import type { SuiteRunner } from './runner.ts'

/** What became of one case. */
export interface CaseReport {
  /** Titles of the groups it stands in. */
  readonly groups: readonly string[]
  /** As the suite names it. */
  readonly title: string
  /** A case is skipped when the plugin's capabilities leave it out. */
  readonly outcome: 'passed' | 'failed' | 'skipped'
  /** Why it failed. */
  readonly error?: unknown
}

/**
 * Runs suites without a test runner, case after case: `collect((runner) => deviceSuite(runner, options))`.
 * With `only`, the other cases are left out of the run and of the reports.
 */
export async function collect(
  define: (runner: SuiteRunner) => void,
  only: (title: string) => boolean = () => true,
): Promise<CaseReport[]> {
  const groups: string[] = []
  const planned: { groups: readonly string[]; title: string; body?: () => Promise<void> }[] = []
  const it = (title: string, body: () => Promise<void>): void => void planned.push({ groups: [...groups], title, body })
  it.skip = (title: string): void => void planned.push({ groups: [...groups], title })
  define({
    describe(title, body) {
      groups.push(title)
      body()
      groups.pop()
    },
    it,
  })

  const reports: CaseReport[] = []
  for (const { groups, title, body } of planned.filter(({ title }) => only(title))) {
    if (body === undefined) {
      reports.push({ groups, title, outcome: 'skipped' })
      continue
    }
    try {
      await body()
      reports.push({ groups, title, outcome: 'passed' })
    } catch (error) {
      reports.push({ groups, title, outcome: 'failed', error })
    }
  }
  return reports
}
