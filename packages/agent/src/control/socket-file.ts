import { chmod, lstat, mkdir, mkdtemp, rename, rm } from 'node:fs/promises'
import type { Server } from 'node:net'
import { dirname, join } from 'node:path'
import { BlockError } from '@blockbraid/core'
import { callControl } from './client.ts'

// sun_path of Linux, without its last zero.
const MAX_PATH = 107

/** Makes the folder of a socket, open to this user only, where it is not there. */
export async function makeFolder(path: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 })
}

/**
 * Makes `server` listen on a unix socket of mode 0600. A socket left by a dead process is replaced; one
 * that is answered is an IN_USE error. Returns what removes the file.
 */
export async function listenOnFile(server: Server, path: string): Promise<() => Promise<void>> {
  const folder = dirname(path)
  await makeFolder(path)
  await refuseLive(path)
  // Bound inside a folder of our own and moved when its mode is set: never open to others, not for a moment.
  const own = await mkdtemp(join(folder, '.bb-'))
  try {
    const bound = join(own, 's')
    if (Buffer.byteLength(bound) > MAX_PATH)
      throw new TypeError(`control: the path ${path} is too long for a socket: keep it below ${MAX_PATH - 10} bytes`)
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(bound, () => {
        server.off('error', reject)
        resolve()
      })
    })
    await chmod(bound, 0o600)
    await rename(bound, path)
  } finally {
    await rm(own, { recursive: true, force: true })
  }
  const { ino } = await lstat(path)
  return async () => {
    const now = await lstat(path).catch(() => undefined)
    if (now?.ino === ino) await rm(path, { force: true })
  }
}

async function refuseLive(path: string): Promise<void> {
  const stats = await lstat(path).catch(() => undefined)
  if (stats === undefined) return
  if (!stats.isSocket())
    throw new BlockError('IN_USE', `${path} is there and is not a socket: remove it or name another`)
  let pid: unknown
  try {
    pid = ((await callControl(path, { op: 'hello' }, { timeout: 2000 })) as { pid?: unknown }).pid
  } catch (error) {
    if (BlockError.is(error) && error.code === 'NOT_FOUND') return
    throw new BlockError('IN_USE', `another program listens on ${path}`, { cause: error })
  }
  throw new BlockError('IN_USE', `an agent runs already: pid ${String(pid)} on ${path}`)
}
