import { randomBytes } from 'node:crypto'
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Name of the file in the state folder. */
export const INITIATOR_FILE = 'initiator'

/**
 * What tells this host from others where it has no machine id: 16 hex digits, made once and kept in the state folder.
 * Undefined where they cannot be kept.
 */
export async function keptHostId(folder: string): Promise<string | undefined> {
  const file = join(folder, INITIATOR_FILE)
  const own = join(folder, `.${INITIATOR_FILE}-${process.pid}-${randomBytes(4).toString('hex')}`)
  try {
    const known = await read(file)
    if (known !== undefined) return known
    await mkdir(folder, { recursive: true, mode: 0o700 })
    await writeFile(own, `${randomBytes(8).toString('hex')}\n`, { mode: 0o600, flush: true })
    // Of two agents that start at once the first one's counts.
    await link(own, file).catch(() => {})
    return await read(file)
  } catch {
    return undefined
  } finally {
    await rm(own, { force: true }).catch(() => {})
  }
}

async function read(file: string): Promise<string | undefined> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return ''
    throw error
  })
  return /^[0-9a-f]{16}$/.exec(text.trim())?.[0]
}
