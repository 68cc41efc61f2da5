import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { basename, dirname, join } from 'node:path'

/** Where a folder of the cache is that was made for `wanted`: what it says changes when an older one would not do. */
export function cachedFolder(kind: string, name: string, wanted: unknown): string {
  const key = createHash('sha256').update(JSON.stringify(wanted)).digest('hex').slice(0, 12)
  return join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'blockbraid', kind, `${name}-${key}`)
}

/**
 * Makes a folder of the cache, as a whole or not at all: `make` gets one to work in, and resolves to the folder in it
 * that is kept. Those of the same name that were made for something else go.
 */
export async function makeCached(folder: string, make: (scratch: string) => Promise<string>): Promise<void> {
  await mkdir(dirname(folder), { recursive: true })
  const scratch = await mkdtemp(`${folder}.`)
  try {
    const made = await make(scratch)
    await rm(folder, { recursive: true, force: true })
    await rename(made, folder)
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
  const name = basename(folder).slice(0, -'-0123456789ab'.length)
  for (const entry of await readdir(dirname(folder))) {
    const path = join(dirname(folder), entry)
    // With a further dot it is one that another process is making.
    if (new RegExp(`^${name}-[0-9a-f]{12}$`).test(entry) && path !== folder) await rm(path, { recursive: true })
  }
}
