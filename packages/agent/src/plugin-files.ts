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
