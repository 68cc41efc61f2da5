import { readFileSync } from 'node:fs'
import type { Bug } from './bugs/bug.ts'

/** What a printed test needs beside its plan: the source of the parts, and the bug that it was found with. */
export function settingOf(bug: Bug | undefined): { setup: string; needs?: string } {
  const source = readFileSync(new URL('parts.ts', import.meta.url), 'utf8')
  const setup = source.replace('export const parts', 'const parts')
  return bug === undefined ? { setup } : { setup, needs: inWords(bug) }
}

function inWords({ name, text, file, changes }: Bug): string {
  const each = changes.map(([find, replace]) => `in place of\n${shifted(find)}\nstands\n${shifted(replace)}`)
  return `It fails with the bug ${name} alone: ${text}. In packages/core/src/${file},\n${each.join('\nand ')}`
}

const shifted = (text: string): string =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => `    ${line}`)
    .join('\n')
