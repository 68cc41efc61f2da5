import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Path } from '@blockbraid/core'
import { pathSuite } from '@blockbraid/testkit'
import { afterAll, describe, expect, it } from 'vitest'

interface BufferPath extends Path {
  pull(): void
  hang(on: boolean): void
}

// Inside the repository, so that the packages resolve as they do for a user.
const folder = join(import.meta.dirname, 'out-target-author')
const page = await readFile('docs/target-author.md', 'utf8')
const [, example = ''] = /```ts\n(.*?)const sources = /s.exec(page) ?? []
await mkdir(folder, { recursive: true })
await writeFile(join(folder, 'example.ts'), `${example}\nexport { openPath }\n`)
const { openPath } = (await import(join(folder, 'example.ts'))) as { openPath(id: string): BufferPath }
afterAll(() => rm(folder, { recursive: true }))

describe('the example of docs/target-author.md', () => {
  pathSuite(
    { describe, it },
    {
      open: async () => openPath('buffer:a'),
      has: {
        trim: false,
        writeZeroes: false,
        fua: true,
        writeCache: false,
        extents: false,
        activate: false,
        access: false,
        grow: false,
        mediumErrors: false,
      },
      faults: {
        kill: (path) => (path as BufferPath).pull(),
        hang: (path) => (path as BufferPath).hang(true),
        release: (path) => (path as BufferPath).hang(false),
        second: async () => openPath('buffer:b'),
      },
    },
  )

  it('is there', () => expect(example).toContain('function openPath'))
})
