// node test/kernel/run.ts [options] [suite…]: see --help.
import { writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { prepareJudges } from '../debian/judges.ts'
import type { KernelSuite } from './suites.ts'
import { suites } from './suites.ts'
import { kernelSuites, prepareKernel } from './vm/kernels.ts'
import { inherited, MACHINE_FAILED, runVisibly } from './vm/visible.ts'

const help = `node test/kernel/run.ts [options] [suite...]

Runs suites inside a Linux kernel of their own, under QEMU; all of them where none is named:
${suites.map(({ name, about }) => `  ${name.padEnd(16)} ${about}`).join('\n')}

  --kernel NAMES   ${Object.keys(kernelSuites).join(', ')}, several separated by commas (default trixie)
  --refresh        fetch the newest kernel of that name again
  --only PATTERN   only tests whose name matches
  --short          of each suite its short set alone
  --files PATTERN  only files whose name matches
  --limit SECONDS  for each suite
  --report FILE    write the results there, as vitest's JSON reporter would
  --console        show what the kernel says

Exit code 0 when every test passed and no kernel complained. A suite whose modules a kernel does not have is
listed at the end as not run.`

const { values, positionals } = parseArgs({
  options: {
    kernel: { type: 'string', default: 'trixie' },
    refresh: { type: 'boolean', default: false },
    only: { type: 'string' },
    short: { type: 'boolean', default: false },
    files: { type: 'string', default: '' },
    limit: { type: 'string' },
    report: { type: 'string' },
    console: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
  allowPositionals: true,
})
const unknown = positionals.filter((name) => !suites.some((suite) => suite.name === name))
if (values.help || unknown.length > 0) {
  console.log(unknown.length > 0 ? `no suite named ${unknown.join(', ')}\n\n${help}` : help)
  process.exit(values.help ? 0 : 2)
}

/** Results of one test file, in the form of vitest's JSON reporter. */
interface FileResult {
  readonly name: string
  readonly status: string
  readonly message?: string
  readonly assertionResults: readonly { readonly status: string; readonly title: string }[]
}

const here = fileURLToPath(new URL('.', import.meta.url))
const root = fileURLToPath(new URL('../..', import.meta.url))
const results: FileResult[] = []
const notRun: string[] = []
const wanted = suites.filter(({ name }) => positionals.length === 0 || positionals.includes(name))
const say = (what: string): void => console.log(`vm: ${what}`)
const fail = (error: Error): never => {
  console.error(`vm: ${error.message}`)
  process.exit(MACHINE_FAILED)
}
const judges = wanted.some((suite) => suite.judges && filesOf(suite).length > 0)
  ? { BLOCKBRAID_JUDGES: await prepareJudges(say).catch(fail) }
  : {}
for (const name of values.kernel.split(',')) {
  const kernel = await prepareKernel(name, values.refresh, say).catch(fail)
  for (const suite of wanted) {
    const files = filesOf(suite)
    if (files.length === 0) continue
    const missing = suite.modules.filter((module) => kernel.missingModules.includes(module))
    if (missing.length > 0) {
      const title = `not run: ${suite.name}: Linux ${kernel.release} has no ${missing.join(', ')}`
      notRun.push(title)
      results.push({ name: suite.name, status: 'passed', assertionResults: [{ status: 'skipped', title }] })
      continue
    }
    console.log(`\n== ${suite.name}: ${suite.about}; Linux ${kernel.release}`)
    const { code, report, bootTime, faults, reason } = await runVisibly({
      kernel,
      command: commandOf(files),
      cwd: root,
      env: { ...inherited(), ...judges, ...suite.env, ...(values.short && { BLOCKBRAID_SHORT: '1' }) },
      modules: suite.modules,
      limit: Number(values.limit ?? suite.limit),
      console: values.console,
    })
    console.log(`(booted in ${bootTime.toFixed(1)} s)`)
    results.push(...resultsOf(`${suite.name} on Linux ${kernel.release}`, report, code, faults[0] ?? reason))
    if (code !== 0) process.exitCode = 1
  }
}
if (notRun.length > 0) console.log(`\n${notRun.join('\n')}`)
if (values.report !== undefined) await writeFile(values.report, JSON.stringify({ testResults: results }))

function filesOf({ files, short = [] }: KernelSuite): string[] {
  return (values.short ? short : files).filter((file) => new RegExp(values.files).test(file))
}

function commandOf(files: readonly string[]): string[] {
  const pattern = values.only === undefined ? [] : ['--test-name-pattern', values.only]
  const options = ['--test-timeout=300000', '--test-force-exit', `--test-reporter=${here}guest/reporter.ts`]
  return [process.execPath, ...options, ...pattern, `${here}guest/load.ts`, ...files.map((file) => `${here}${file}`)]
}

/** What the reporter in the guest said, and a failure of its own where the machine or its kernel failed. */
function resultsOf(name: string, report: string, code: number, message: string): FileResult[] {
  const told = report
    .trim()
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as FileResult)
  const failed = told.some(({ status }) => status === 'failed')
  return code === 0 || failed ? told : [...told, { name, status: 'failed', message, assertionResults: [] }]
}
