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
 * `file:line` in the stack of an error: of a file that cannot be parsed, which stands before all, or of the innermost
 * function of a plugin. Undefined where neither is.
 */
export function placeOf(error: unknown): string | undefined {
  let stack: unknown
  try {
    stack = (error as { stack?: unknown } | null | undefined)?.stack
  } catch {
    return undefined
  }
  if (typeof stack !== 'string') return undefined
  const paths = new Set([...files.keys()].map(pathOf))
  for (const { index, 1: url = '', 2: line } of stack.matchAll(/((?:file:\/\/)?\/[^\s()]*?):(\d+)(?::\d+)?\)?$/gm)) {
    const path = pathOf(url)
    if (index === 0 || paths.has(path)) return `${path}:${line}`
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
