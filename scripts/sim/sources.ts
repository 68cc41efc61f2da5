import { readFileSync } from 'node:fs'
import { registerHooks, stripTypeScriptTypes } from 'node:module'
import { fileURLToPath } from 'node:url'

const root = new URL('../../', import.meta.url)

/** Has the packages loaded from their sources, those of core with the changes of `patch`, by file below its `src`. */
export function loadSources(patch: ReadonlyMap<string, (source: string) => string> = new Map()): void {
  const core = new URL('packages/core/src/', root).href
  registerHooks({
    resolve(specifier, context, next) {
      const name = /^@blockbraid\/([a-z-]+)(?:\/([a-z-]+))?$/.exec(specifier)
      if (name === null) return next(specifier, context)
      const file = name[2] === undefined ? 'src/index.ts' : `src/${name[2]}/index.ts`
      return { url: new URL(`packages/${name[1]}/${file}`, root).href, shortCircuit: true }
    },
    load(url, context, next) {
      const change = url.startsWith(core) ? patch.get(url.slice(core.length)) : undefined
      if (change === undefined) return next(url, context)
      const source = stripTypeScriptTypes(change(readFileSync(fileURLToPath(url), 'utf8')))
      return { format: 'module', source, shortCircuit: true }
    },
  })
}
