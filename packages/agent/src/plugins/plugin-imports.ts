import { registerHooks } from 'node:module'

/** Packages of which this process has one copy, its own. */
const OURS = /^(@blockbraid\/[^/]+|blockbraid)(\/|$)/

/** Modules of plugins, and what those import. */
const modules = new Set<string>()
let hooked = false

/**
 * Lets the module at `url`, and what it imports, import the packages that came with this command, wherever its folder is.
 * They are the command's own copies also where its folder has others: a class must be one class for both.
 */
export function sharePackagesWith(url: string): void {
  modules.add(url)
  if (hooked) return
  hooked = true
  registerHooks({
    resolve(specifier, context, nextResolve) {
      const { parentURL } = context
      const byPlugin = parentURL !== undefined && modules.has(parentURL)
      const own = byPlugin && OURS.test(specifier) ? ownAddressOf(specifier) : undefined
      if (own !== undefined) return { url: own, shortCircuit: true }
      const found = nextResolve(specifier, context)
      // A link's module goes by the address that it leads to.
      if (byPlugin || modules.has(specifier)) modules.add(found.url)
      return found
    },
  })
}

/** Undefined where it is none of those that came with this command: the plugin must bring it. */
function ownAddressOf(specifier: string): string | undefined {
  try {
    return import.meta.resolve(specifier)
  } catch {
    return undefined
  }
}
