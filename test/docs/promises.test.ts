import { readFile } from 'node:fs/promises'
import ts from 'typescript'
import { describe, expect, it } from 'vitest'

// Every sentence of docs/promises.md is an item of a list, with the tests that show it below, one a line:
//   - `FILE`: DESCRIBE › TEST
// Titles are as in the source, and each part that is filled in when the test runs is an ellipsis.
const PAGE = 'docs/promises.md'
const SHOWN = /^ {2}- `([^`]+\.test\.ts)`: (.+)$/
const NOT_PROMISED = '## What is not promised'

/** A sentence of the page and the tests that are named below it. */
interface Promised {
  readonly line: number
  readonly text: string
  readonly tests: { readonly line: number; readonly file: string; readonly name: string }[]
}

function promisesOf(markdown: string): Promised[] {
  const found: Promised[] = []
  for (const [index, text] of markdown.split('\n').entries()) {
    const line = index + 1
    if (text.startsWith('- ')) found.push({ line, text, tests: [] })
    const [, file, name] = SHOWN.exec(text) ?? []
    if (file !== undefined && name !== undefined) found.at(-1)!.tests.push({ line, file, name })
  }
  return found
}

/** The titles of the tests in a file, each with those of the groups that it is in. */
function titlesOf(file: string, source: string): Set<string> {
  const titles = new Set<string>()
  const visit = (node: ts.Node, groups: readonly string[]): void => {
    const title = ts.isCallExpression(node) ? titleOf(node) : undefined
    const within = title === undefined ? groups : [...groups, title]
    if (title !== undefined) titles.add(within.join(' › '))
    ts.forEachChild(node, (child) => visit(child, within))
  }
  visit(ts.createSourceFile(file, source, ts.ScriptTarget.Latest), [])
  return titles
}

/** What a call declares as a test, or as a group of them, that runs; undefined for other calls. */
function titleOf({ expression, arguments: [title] }: ts.CallExpression): string | undefined {
  // `it('…')`, `it.each([…])('…')`, `itWithTgt('…')`.
  const words: string[] = []
  for (let called: ts.Node = expression; ; ) {
    if (ts.isCallExpression(called)) called = called.expression
    else if (ts.isPropertyAccessExpression(called)) {
      words.push(called.name.text)
      called = called.expression
    } else if (ts.isIdentifier(called)) {
      words.push(called.text)
      break
    } else return
  }
  if (!/^(it|test|describe)([A-Z]|$)/.test(words.at(-1)!) || words.some((word) => /^(skip|todo)$/.test(word))) return
  if (title === undefined) return
  if (ts.isStringLiteral(title) || ts.isNoSubstitutionTemplateLiteral(title)) {
    return title.text.replaceAll(/%[sdifjoc]|\$[a-z]\w*/g, '…')
  }
  if (!ts.isTemplateExpression(title)) return
  return title.head.text + title.templateSpans.map(({ literal }) => `…${literal.text}`).join('')
}

const page = await readFile(PAGE, 'utf8')
const end = page.indexOf(NOT_PROMISED)
const promises = promisesOf(page)

describe('what is promised', () => {
  it('is shown by a test, sentence by sentence', () => {
    const lines = page.slice(0, end).split('\n').length
    expect(end).toBeGreaterThan(0)
    const bare = promises.filter(({ line, tests }) => line < lines && tests.length === 0)
    expect(bare.map(({ line, text }) => `${PAGE}:${line} ${text}`)).toEqual([])
  })

  it('names its tests in lines of one form', () => {
    const nested = page.split('\n').filter((line) => line.startsWith('  - '))
    expect(nested.filter((line) => !SHOWN.test(line))).toEqual([])
    expect(nested.length).toBeGreaterThan(0)
  })

  it('names tests that are there', async () => {
    const files = new Set(promises.flatMap(({ tests }) => tests.map(({ file }) => file)))
    const titles = new Map<string, Set<string>>()
    for (const file of files) titles.set(file, titlesOf(file, await readFile(file, 'utf8').catch(() => '')))
    const missing = promises
      .flatMap(({ tests }) => tests)
      .filter(({ file, name }) => titles.get(file)?.has(name) !== true)
      .map(({ line, file, name }) => `${PAGE}:${line} ${file} has no test "${name}"`)
    expect(missing).toEqual([])
  })
})
