// Runs every suite this machine can run, and says of each other one why it cannot.
// Closing line: `N passed, N failed, N skipped`. Exit code 0 when nothing failed; with CI=true a suite that could
// not run counts as failed.
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join, relative } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { type Suite, suites } from './suites.ts'

interface Outcome {
  readonly suite: Suite
  readonly passed: number
  readonly failed: number
  /** Each test that failed: its name, and the first line of what it said. */
  readonly failures: readonly string[]
  /** Names of tests that skipped themselves. */
  readonly skipped: readonly string[]
  /** Why the suite did not run. */
  readonly missing?: string
  readonly seconds: number
}

process.env['PATH'] = [join(process.cwd(), 'node_modules', '.bin'), process.env['PATH'], '/usr/sbin', '/sbin'].join(
  delimiter,
)
const only = process.argv.slice(2)
const chosen = only.length === 0 ? suites : suites.filter(({ name }) => only.includes(name))
if (chosen.length === 0) {
  console.error(`no suite named ${only.join(' or ')}; there are ${suites.map(({ name }) => name).join(', ')}`)
  process.exit(2)
}

const scratch = await mkdtemp(join(tmpdir(), 'blockbraid-test-'))
const outcomes: Outcome[] = []
for (const suite of chosen) outcomes.push(await runSuite(suite))
await rm(scratch, { recursive: true })
summarise(outcomes)

async function runSuite(suite: Suite): Promise<Outcome> {
  const missing = await whyNot(suite)
  if (missing !== undefined) return { suite, passed: 0, failed: 0, failures: [], skipped: [], missing, seconds: 0 }
  console.log(`\n== ${suite.name}: ${suite.about}`)
  const start = performance.now()
  const report = join(scratch, `${suite.name}.json`)
  let passed = 0
  let failed = 0
  let failures: string[] = []
  let skipped: string[] = []
  for (const [command = '', ...args] of suite.commands) {
    const extra = reportOptions(command, args, report)
    const code = await run(command, [...args, ...extra])
    if (extra.length === 0) {
      if (code === 0) passed++
      else failed++
      if (code !== 0) failures.push(`${[command, ...args].join(' ')}: it ended with ${code}`)
      continue
    }
    const counts = await readCounts(report)
    passed += counts.passed
    failed += counts.failed === 0 && code !== 0 ? 1 : counts.failed
    failures = [...failures, ...counts.failures]
    skipped = [...skipped, ...counts.skipped]
    // A suite in which nothing ran has not shown anything.
    if (counts.passed + counts.failed === 0) failed++
  }
  return { suite, passed, failed, failures, skipped, seconds: (performance.now() - start) / 1000 }
}

/** Why a suite cannot run on this machine. */
async function whyNot({ needs = [], prepare }: Suite): Promise<string | undefined> {
  const missing = needs.filter((command) => !onPath(command))
  if (missing.length > 0) return `needs ${missing.join(', ')}`
  try {
    await prepare?.()
  } catch (error) {
    return (error as Error).message
  }
  return undefined
}

/** What has a command write a report in the form of vitest's; nothing where it is a test by itself. */
function reportOptions(command: string, [script]: readonly string[], report: string): string[] {
  if (command === 'vitest') return ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`]
  return script === 'test/kernel/run.ts' ? ['--report', report] : []
}

type Counts = Pick<Outcome, 'passed' | 'failed' | 'failures' | 'skipped'>

async function readCounts(report: string): Promise<Counts> {
  if (!existsSync(report)) return { passed: 0, failed: 0, failures: [], skipped: [] }
  const { testResults } = JSON.parse(await readFile(report, 'utf8')) as {
    testResults: {
      name: string
      status: string
      message?: string
      assertionResults: { status: string; title: string; failureMessages?: string[] }[]
    }[]
  }
  const tests = testResults.flatMap(({ assertionResults }) => assertionResults)
  const broken = testResults.filter(
    ({ status, assertionResults }) => status === 'failed' && assertionResults.length === 0,
  )
  return {
    passed: tests.filter(({ status }) => status === 'passed').length,
    failed: tests.filter(({ status }) => status === 'failed').length + broken.length,
    failures: [
      ...tests
        .filter(({ status }) => status === 'failed')
        .map(({ title, failureMessages }) => said(title, failureMessages?.[0])),
      ...broken.map(({ name, message }) => said(relative(process.cwd(), name), message)),
    ],
    skipped: tests.filter(({ status }) => status !== 'passed' && status !== 'failed').map(({ title }) => title),
  }
}

function said(name: string, message: string | undefined): string {
  const line = stripVTControlCharacters(message ?? '')
    .trim()
    .split('\n')[0]
  return line === '' ? name : `${name}: ${line}`
}

function summarise(all: readonly Outcome[]): void {
  console.log('\n== summary')
  for (const { suite, passed, failed, failures, skipped, missing, seconds } of all) {
    const counts = missing ?? `${passed} passed, ${failed} failed, ${skipped.length} skipped, ${seconds.toFixed(0)} s`
    console.log(
      `${missing === undefined ? (failed > 0 ? 'FAILED ' : 'ok     ') : 'NOT RUN'} ${suite.name.padEnd(10)} ${counts}`,
    )
    for (const failure of failures) console.log(`          FAILED ${failure}`)
    for (const [name, count] of countNames(skipped)) console.log(`          skipped ${count} x ${name}`)
  }
  const missing = all.filter((outcome) => outcome.missing !== undefined).length
  const passed = all.reduce((sum, outcome) => sum + outcome.passed, 0)
  const skipped = all.reduce((sum, outcome) => sum + outcome.skipped.length, 0)
  const strict = process.env['CI'] === 'true'
  const failed = all.reduce((sum, outcome) => sum + outcome.failed, 0) + (strict ? missing : 0)
  if (missing > 0) console.log(`${missing} suite(s) could not run${strict ? ', which counts as failed in CI' : ''}`)
  console.log(`${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`)
  process.exitCode = failed > 0 ? 1 : 0
}

// A suite of testkit runs many times over; the same case is named once.
function countNames(names: readonly string[]): Map<string, number> {
  const counts = new Map<string, number>()
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1)
  return counts
}

function run(command: string, args: readonly string[]): Promise<number> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit'] })
    child.on('error', () => resolve(127))
    child.on('exit', (code) => resolve(code ?? 1))
  })
}

function onPath(command: string): boolean {
  return (process.env['PATH'] ?? '').split(delimiter).some((folder) => existsSync(join(folder, command)))
}
