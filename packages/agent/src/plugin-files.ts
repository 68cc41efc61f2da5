import { fileURLToPath } from 'node:url'

/** A module of a plugin: its address, and what it is. */
export interface PluginFile {
  readonly url: string
  readonly name: string
}

const files = new Map<string, PluginFile>()
let follower: ((file: PluginFile) => void) | undefined

/** Notes a plugin's module before it is imported. */
export function notePluginFile(url: string, name: string): void {
  const file = { url, name }
  files.set(url, file)
  follower?.(file)
}

/** Tells of every plugin's module, those so far and those to come; there is one follower at a time. */
export function followPluginFiles(follow: (file: PluginFile) => void): () => void {
  follower = follow
  files.forEach(follow)
  return () => {
    if (follower === follow) follower = undefined
  }
}

/**
 * `file:line` in the stack of an error: of the innermost function of a plugin, or, with `any`, of the first file there
 * is, which for a mistake in the file itself is that file. Undefined where none is.
 */
export function placeOf(error: unknown, any = false): string | undefined {
  let stack: unknown
  try {
    stack = (error as { stack?: unknown } | null | undefined)?.stack
  } catch {
    return undefined
  }
  if (typeof stack !== 'string') return undefined
  const paths = new Set([...files.keys()].map(pathOf))
  for (const [, url = '', line] of stack.matchAll(/((?:file:\/\/)?\/[^\s()]*?):(\d+)(?::\d+)?\)?$/gm)) {
    const path = pathOf(url)
    if (any || paths.has(path)) return `${path}:${line}`
  }
  return undefined
}

/** The path of a module's address, without the mark of an edit. */
function pathOf(url: string): string {
  const plain = url.replace(/\?.*$/, '')
  try {
    return plain.startsWith('file:') ? fileURLToPath(plain) : plain
  } catch {
    return plain
  }
}
