import { messageOf } from '@blockbraid/core'
import { collect } from './collect.ts'
import type { SuiteRunner } from './runner.ts'

/** A way to break a plugin on purpose: it takes sound options of a suite and gives broken ones. */
export interface Mutant<Options> {
  /** What it does wrong. */
  readonly name: string
  /** How the title of the case begins that must fail, such as `rule 1:`. */
  readonly breaks: string
  /** Puts the broken plugin in the place of the sound one. */
  apply(options: Options): Options
}

/** What a suite made of a mutant. */
export interface MutantReport {
  /** As in the mutant. */
  readonly name: string
  /** As in the mutant. */
  readonly breaks: string
  /** `caught`: a case of the broken rule failed. `skipped`: none of them applies to this plugin. */
  readonly outcome: 'caught' | 'survived' | 'skipped'
  /** Titles and messages of the cases that failed. */
  readonly failures: readonly string[]
}

/**
 * Runs a suite against each mutant of a sound plugin, and tells which ones it caught for the right reason:
 * by a case of the broken rule that the sound plugin passes.
 */
export async function runMutants<Options>(
  suite: (runner: SuiteRunner, options: Options) => void,
  options: Options,
  mutants: readonly Mutant<Options>[],
): Promise<MutantReport[]> {
  const passed = (await collect((runner) => suite(runner, options))).filter(({ outcome }) => outcome === 'passed')
  const sound = new Set(passed.map(({ title }) => title))
  const reports: MutantReport[] = []
  for (const { name, breaks, apply } of mutants) {
    const broken = apply(options)
    const chosen = (title: string): boolean => title.startsWith(breaks) && sound.has(title)
    const cases = await collect((runner) => suite(runner, broken), chosen)
    const failed = cases.filter(({ outcome }) => outcome === 'failed')
    const failures = failed.map(({ title, error }) => `${title}: ${messageOf(error)}`)
    const outcome = failed.length > 0 ? 'caught' : cases.length === 0 ? 'skipped' : 'survived'
    reports.push({ name, breaks, outcome, failures })
  }
  return reports
}
