import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'

// Names of files and folders on the page begin with a package, whose src is left out, or with a folder of the root:
//   core/io.ts   `linux/host/`   `core/multipath/{guard,guards}.ts`   test/docs/architecture.test.ts
const PAGE = 'docs/architecture.md'
const FILE = /(?<![\w/.-])(?:[a-z0-9-]+\/)+(?:\{[a-z0-9,-]+\}|[a-z0-9-]+(?:\.test)?)\.(?:ts|c)\b/g
const FOLDER = /`((?:[a-z0-9-]+\/)+)`/g

function namedIn(text: string): string[] {
  const files = [...text.matchAll(FILE)].flatMap(([name]) => spelledOut(name))
  const folders = [...text.matchAll(FOLDER)].map(([, name]) => name as string)
  return [...new Set([...files, ...folders])]
}

function spelledOut(name: string): string[] {
  const [all, list] = /\{(.+)\}/.exec(name) ?? []
  return all === undefined ? [name] : (list as string).split(',').map((one) => name.replace(all, one))
}

function placeOf(name: string): string {
  const [first = '', ...rest] = name.split('/')
  return existsSync(`packages/${first}`) ? ['packages', first, 'src', ...rest].join('/') : name
}

const page = await readFile(PAGE, 'utf8')
const named = namedIn(page)

describe('the map of the house', () => {
  it('names files that are there', () => {
    expect(named.length).toBeGreaterThan(50)
    expect(named.filter((name) => !existsSync(placeOf(name)))).toEqual([])
  })

  it('sees a name in a sentence, in brackets, in a picture, and each of a list', () => {
    expect(namedIn('x (`a/b.ts`), c-d/e-f.c says; g/{h,i-j}.ts and `k/l/`; https://m.n/o.tsx')).toEqual([
      'a/b.ts',
      'c-d/e-f.c',
      'g/h.ts',
      'g/i-j.ts',
      'k/l/',
    ])
  })
})
