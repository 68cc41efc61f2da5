import { registerHooks, stripTypeScriptTypes } from 'node:module'

const root = new URL('../../', import.meta.url)

/** Has the packages loaded from their sources, and those files of core, by their path below `src`, with these contents. */
export function loadSources(patch: ReadonlyMap<string, string> = new Map()): void {
  const core = new URL('packages/core/src/', root).href
  registerHooks({
    resolve(specifier, context, next) {
      const name = /^@blockbraid\/([a-z-]+)(?:\/([a-z-]+))?$/.exec(specifier)
      if (name === null) return next(specifier, context)
      const file = name[2] === undefined ? 'src/index.ts' : `src/${name[2]}/index.ts`
      return { url: new URL(`packages/${name[1]}/${file}`, root).href, shortCircuit: true }
    },
    load(url, context, next) {
      const source = url.startsWith(core) ? patch.get(url.slice(core.length)) : undefined
      if (source === undefined) return next(url, context)
      return { format: 'module', source: stripTypeScriptTypes(source), shortCircuit: true }
    },
  })
}
