import { chmod, link, lstat, rename, stat, unlink } from 'node:fs/promises'
import { connect } from 'node:net'
import { dirname, join } from 'node:path'
import { BlockError, messageOf } from '@blockbraid/core'
import type { ListenOptions, WireListener } from '@blockbraid/wire'
import { listenForWires } from '@blockbraid/wire'
import type { ServerSettings } from './options.ts'

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}

/** A listener, and what removes its socket file. */
export interface OpenListener {
  readonly listener: WireListener
  readonly release: () => Promise<void>
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
  // Moved aside first: of two servers that found it dead, neither may remove what the other has put there since.
  const aside = beside(path)
  try {
    await rename(path, aside)
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return
    throw error
  }
  const moved = await lstat(aside)
  const same = moved.ino === file.ino && moved.birthtimeMs === file.birthtimeMs
  if (!same) await link(aside, path).catch(() => {})
  await unlink(aside)
  if (!same) throw new BlockError('IN_USE', `another server has just begun to listen on ${path}`)
}

let count = 0

/** A name in the same folder that nobody else uses. */
function beside(path: string): string {
  return join(dirname(path), `.${process.pid.toString(36)}${(count++).toString(36)}`)
}

async function listenUnix(path: string, mode: number, options: ListenOptions): Promise<OpenListener> {
  // Asked for itself, as node:net reports a folder that is not there as EACCES.
  await stat(dirname(path))
  // Under a name of its own first: nobody connects before the mode is set, and what a listener of node:net unlinks
  // when it closes is this name, never the file of a server that has come after us.
  const own = beside(path)
  const listener = await listenForWires({ path: own }, options)
  try {
    try {
      await chmod(own, mode)
      await putInPlace(own, path)
    } finally {
      await unlink(own)
    }
    const { ino, birthtimeMs } = await lstat(path)
    const release = async (): Promise<void> => {
      const file = await lstat(path).catch(() => undefined)
      if (file?.ino === ino && file.birthtimeMs === birthtimeMs) await unlink(path).catch(() => {})
    }
    return { listener, release }
  } catch (error) {
    void listener.close()
    throw error
  }
}

async function putInPlace(own: string, path: string): Promise<void> {
  try {
    await link(own, path)
  } catch (error) {
    if (codeOf(error) !== 'EEXIST') throw error
    await removeStale(path)
    await link(own, path)
  }
}

/** Starts to listen. Rejects with IN_USE, DENIED, NOT_FOUND (no such folder or host), or IO_FAILED. */
export async function openListener(settings: ServerSettings, options: ListenOptions): Promise<OpenListener> {
  const { socket, host, port } = settings
  try {
    if (socket !== undefined) return await listenUnix(socket, settings.socketMode, options)
    return { listener: await listenForWires({ host, port }, options), release: async () => {} }
  } catch (error) {
    if (BlockError.is(error)) throw error
    const where = socket ?? `${host}:${port}`
    const message = `cannot listen on ${where}: ${messageOf(error)}`
    switch (codeOf(error)) {
      case 'EADDRINUSE':
      case 'EEXIST':
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
