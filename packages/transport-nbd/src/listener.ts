import { once } from 'node:events'
import { chmod, lstat, stat, unlink } from 'node:fs/promises'
import type { Server } from 'node:net'
import { connect } from 'node:net'
import { dirname } from 'node:path'
import { BlockError, messageOf } from '@blockbraid/core'
import type { ServerSettings } from './options.ts'

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}

async function listen(server: Server, where: { path: string } | { host: string; port: number }): Promise<void> {
  server.listen(where)
  await once(server, 'listening')
}

/** Whether somebody answers on a unix socket. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect({ path })
    probe.on('connect', () => {
      probe.destroy()
      resolve(true)
    })
    // Refused or gone: nobody is there. Any other failure leaves the file alone.
    probe.on('error', (error) => resolve(!['ECONNREFUSED', 'ENOENT'].includes(codeOf(error))))
  })
}

/** Removes the socket file of a dead server. Rejects with IN_USE where it is alive, or no socket. */
async function removeStale(path: string): Promise<void> {
  const file = await lstat(path).catch(() => undefined)
  if (file === undefined) return
  if (!file.isSocket()) throw new BlockError('IN_USE', `${path} exists and is not a socket`)
  if (await answers(path)) throw new BlockError('IN_USE', `another server answers on ${path}`)
  await unlink(path).catch((error: unknown) => {
    if (codeOf(error) !== 'ENOENT') throw error
  })
}

async function listenUnix(server: Server, path: string, mode: number): Promise<void> {
  // Asked for itself, as libuv reports a folder that is not there as EACCES.
  await stat(dirname(path))
  try {
    await listen(server, { path })
  } catch (error) {
    if (codeOf(error) !== 'EADDRINUSE') throw error
    await removeStale(path)
    await listen(server, { path })
  }
  await chmod(path, mode)
}

/** Starts to listen. Rejects with IN_USE, DENIED, NOT_FOUND (no such folder or host), or IO_FAILED. */
export async function openListener(server: Server, settings: ServerSettings): Promise<void> {
  const { socket, host, port } = settings
  try {
    if (socket === undefined) await listen(server, { host, port })
    else await listenUnix(server, socket, settings.socketMode)
  } catch (error) {
    server.close()
    if (BlockError.is(error)) throw error
    const where = socket ?? `${host}:${port}`
    const message = `cannot listen on ${where}: ${messageOf(error)}`
    switch (codeOf(error)) {
      case 'EADDRINUSE':
        throw new BlockError('IN_USE', message, { cause: error })
      case 'EACCES':
      case 'EPERM':
        throw new BlockError('DENIED', message, { cause: error })
      case 'ENOENT':
      case 'ENOTDIR':
      case 'ENOTFOUND':
      case 'EADDRNOTAVAIL':
        throw new BlockError('NOT_FOUND', message, { cause: error })
      default:
        throw new BlockError('IO_FAILED', message, { cause: error })
    }
  }
}
