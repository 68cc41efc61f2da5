import { chmod, link, lstat, mkdtemp, rename, rm } from 'node:fs/promises'
import type { Server } from 'node:net'
import { dirname, join } from 'node:path'
import { BlockError } from '@blockbraid/core'
import { folderError, makeFolder } from '../files/socket-folder.ts'
import { callControl } from './client.ts'
import { refuseForeign } from './path.ts'

// sun_path of Linux, without its last zero.
const MAX_PATH = 107
// Of `/.bb-XXXXXX/s`, where it is bound first.
const OWN_NAME = 13

/**
 * Makes `server` listen on a unix socket of mode 0600. A socket left by a dead process is replaced; one
 * that is answered is an IN_USE error, with `advice`. Returns what removes the file.
 */
export async function listenOnFile(server: Server, path: string, advice: string): Promise<() => Promise<void>> {
  const folder = dirname(path)
  if (Math.max(Buffer.byteLength(path), Buffer.byteLength(folder) + OWN_NAME) > MAX_PATH)
    throw new TypeError(`control: the path ${path} is too long for a socket: keep it below ${MAX_PATH - 10} bytes`)
  await makeFolder(path)
  await refuseForeign(path)
  const dead = await refuseLive(path, advice)
  // Bound inside a folder of our own and moved when its mode is set: never open to others, not for a moment.
  const own = await mkdtemp(join(folder, '.bb-')).catch((error: unknown) => {
    throw folderError(`cannot make the control socket ${path}`, error)
  })
  try {
    const bound = join(own, 's')
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(bound, () => {
        server.off('error', reject)
        resolve()
      })
    })
    await chmod(bound, 0o600)
    if (dead !== undefined) await moveAside(path, dead, join(own, 'dead'), advice)
    // Unlike rename, link never replaces what a quicker agent has put there.
    await link(bound, path).catch(async (error: unknown) => {
      await refuseLive(path, advice)
      throw error
    })
  } finally {
    await rm(own, { recursive: true, force: true })
  }
  const { ino } = await lstat(path)
  return async () => {
    const now = await lstat(path).catch(() => undefined)
    if (now?.ino === ino) await rm(path, { force: true })
  }
}

async function moveAside(path: string, dead: number, aside: string, advice: string): Promise<void> {
  await rename(path, aside).catch(() => {})
  const moved = await lstat(aside).catch(() => undefined)
  if (moved === undefined || moved.ino === dead) return
  // Somebody was quicker: it gets its socket back.
  await link(aside, path).catch(() => {})
  await refuseLive(path, advice)
}

// Returns the inode of the socket of a dead process.
async function refuseLive(path: string, advice: string): Promise<number | undefined> {
  const stats = await lstat(path).catch(() => undefined)
  if (stats === undefined) return undefined
  if (!stats.isSocket())
    throw new BlockError('IN_USE', `${path} is there and is not a socket: remove it or name another`)
  let pid: unknown
  try {
    pid = (await callControl(path, { op: 'hello' })).pid
  } catch (error) {
    if (BlockError.is(error) && error.code === 'NOT_FOUND') return stats.ino
    if (BlockError.is(error) && error.code === 'TIMED_OUT')
      throw new BlockError('IN_USE', `an agent is there already: ${error.message}`, { cause: error })
    throw new BlockError('IN_USE', `another program listens on ${path}`, { cause: error })
  }
  throw new BlockError('IN_USE', `an agent runs already: pid ${String(pid)} on ${path}; ${advice}`)
}
