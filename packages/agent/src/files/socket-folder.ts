import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'
import { BlockError, messageOf } from '@blockbraid/core'

/** Makes the folder of a socket, open to this user only, where it is not there. */
export async function makeFolder(path: string): Promise<void> {
  const folder = dirname(path)
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 })
  } catch (error) {
    throw folderError(`cannot make the folder ${folder} for the socket ${path}`, error)
  }
}

/** The error for what could not be made in a folder. */
export function folderError(what: string, error: unknown): BlockError {
  const { code } = error as NodeJS.ErrnoException
  if (code === 'EACCES' || code === 'EPERM') return new BlockError('DENIED', `${what}: not allowed`, { cause: error })
  if (code === 'EROFS')
    return new BlockError('DENIED', `${what}: it would be on a read-only filesystem`, { cause: error })
  if (code === 'ENOTDIR' || code === 'EEXIST')
    return new BlockError('IN_USE', `${what}: a file is in its way`, { cause: error })
  return new BlockError('NOT_FOUND', `${what}: ${messageOf(error)}`, { cause: error })
}
