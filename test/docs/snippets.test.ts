import { execFile } from 'node:child_process'
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { loadConfig } from 'blockbraid'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const run = promisify(execFile)
// Inside the repository, so that the packages resolve as they do for a user.
const out = join(import.meta.dirname, 'out')

interface Snippet {
  readonly file: string
  readonly line: number
  readonly text: string
}

/** Every fenced block of `language` in a Markdown file. Whole programs say `ts`; fragments say `typescript`. */
function snippets(file: string, markdown: string, language: string): Snippet[] {
  const found: Snippet[] = []
  const lines = markdown.split('\n')
  for (let line = 0; line < lines.length; line++) {
    if (lines[line] !== `\`\`\`${language}`) continue
    const end = lines.indexOf('```', line)
    found.push({ file, line: line + 1, text: `${lines.slice(line + 1, end).join('\n')}\n` })
    line = end
  }
  return found
}

async function pages(): Promise<string[]> {
  const packages = (await readdir('packages')).map((name) => `packages/${name}/README.md`)
  const docs = (await Promise.all(['docs', 'docs/targets'].map(pagesOf))).flat()
  return ['README.md', ...docs, ...packages]
}

async function pagesOf(folder: string): Promise<string[]> {
  return (await readdir(folder)).filter((name) => name.endsWith('.md')).map((name) => `${folder}/${name}`)
}

const texts = await Promise.all((await pages()).map(async (file) => ({ file, text: await readFile(file, 'utf8') })))
const inLanguage = (language: string): Snippet[] => texts.flatMap(({ file, text }) => snippets(file, text, language))

beforeAll(() => mkdir(out, { recursive: true }))
afterAll(() => rm(out, { recursive: true }))

describe('TypeScript snippets', () => {
  const all = inLanguage('ts')
  const path = (snippet: Snippet): string => join(out, `${snippet.file.replaceAll(/[/.]/g, '-')}-${snippet.line}.ts`)

  it('have right types', async () => {
    for (const snippet of all) await writeFile(path(snippet), `${snippet.text}\nexport {}\n`)
    await writeFile(join(out, 'tsconfig.json'), '{ "extends": "../../../tsconfig.base.json", "include": ["*.ts"] }')
    await run('tsc', ['-p', out]).catch(({ stdout }: { stdout: string }) => expect.fail(stdout))
  })

  for (const snippet of all) {
    it(`${snippet.file}:${snippet.line} runs`, async () => {
      await writeFile(path(snippet), snippet.text)
      await run(process.execPath, [path(snippet)], { timeout: 30_000 })
    })
  }
})

describe('config snippets', () => {
  for (const snippet of inLanguage('yaml')) {
    it(`${snippet.file}:${snippet.line} is a valid config`, async () => {
      const file = join(out, `${snippet.file.replaceAll(/[/.]/g, '-')}-${snippet.line}.yaml`)
      await writeFile(file, snippet.text)
      await loadConfig(file)
    })
  }
})

describe('links', () => {
  for (const { file, text } of texts) {
    it(`of ${file} lead somewhere`, async () => {
      const targets = [...text.matchAll(/\]\(([^)#]+)(#[^)]*)?\)/g)].map(([, target]) => target as string)
      for (const target of targets) {
        if (/^https?:/.test(target)) continue
        await expect(readFileOrFolder(join(file, '..', target)), `${file} links to ${target}`).resolves.toBeDefined()
      }
    })
  }
})

async function readFileOrFolder(path: string): Promise<unknown> {
  return readFile(path).catch(() => readdir(path))
}
