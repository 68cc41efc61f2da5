// Reporter of node:test for the guest: a line per test, then what the target cannot do, then the counts.
// Results go to file descriptor 3 as well, one test a line.
import { writeSync } from 'node:fs'
import { basename } from 'node:path'
import type { TestEvent } from 'node:test/reporters'
import { UNSUPPORTED } from './unsupported.ts'

const REPORT = 3

/** Turns test events into text. */
export default async function* report(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const counts = { passed: 0, failed: 0, skipped: 0 }
  const unsupported: string[] = []
  let file = ''
  for await (const event of events) {
    if (event.type === 'test:diagnostic' && event.data.message.startsWith(UNSUPPORTED)) {
      unsupported.push(event.data.message.slice(UNSUPPORTED.length))
    }
    if (event.type !== 'test:pass' && event.type !== 'test:fail') continue
    const { data } = event
    // Suites and files end too; only tests count.
    if (data.details.type === 'suite') continue
    const status = event.type === 'test:fail' ? 'failed' : data.skip === undefined ? 'passed' : 'skipped'
    counts[status]++
    const from = data.file === undefined ? '' : basename(data.file)
    if (from !== file) yield `${(file = from)}\n`
    const time = `${Math.round(data.details.duration_ms)} ms`
    const why = typeof data.skip === 'string' ? ` (${data.skip})` : ''
    yield `  ${marks[status]} ${data.name}${why} ${time}\n`
    if (event.type === 'test:fail') yield `${indented(describe(event.data.details.error))}\n`
    writeSync(REPORT, `${JSON.stringify(resultOf(from, status, data.name))}\n`)
  }
  if (unsupported.length > 0)
    yield `\nNot supported by this target:\n${unsupported.map((line) => `  ${line}\n`).join('')}`
  yield `\n${counts.passed} passed, ${counts.failed} failed${counts.skipped > 0 ? `, ${counts.skipped} skipped` : ''}\n`
}

const marks = { passed: 'ok    ', failed: 'FAILED', skipped: 'SKIP  ' }

function resultOf(file: string, status: string, title: string): object {
  return { name: file, status: status === 'failed' ? 'failed' : 'passed', assertionResults: [{ status, title }] }
}

function describe({ cause, message }: Error): string {
  if (!(cause instanceof Error)) return String(cause ?? message)
  const { suppressed } = cause as Partial<SuppressedError>
  if (suppressed instanceof Error) return `${suppressed.stack}\nand then\n${(cause as SuppressedError).error?.stack}`
  return cause.stack ?? cause.message
}

function indented(text: string): string {
  return text.replace(/^/gm, '           ')
}
