import type { PathInfo } from '@blockbraid/core'
import { BlockError } from '@blockbraid/core'
import { readAccess } from '../unit/access.ts'
import type { Asker } from '../unit/ask.ts'
import { readDisk, untoldDisk } from '../unit/disk.ts'
import type { Seen } from '../unit/identity.ts'
import { differenceOf, readNamespace } from '../unit/identity.ts'
import type { PathHost, PathLink } from './path.ts'
import { NvmePath } from './path.ts'
import { takesIo } from './review.ts'

/** Options of {@link openPath}. */
export interface OpenPathOptions {
  readonly signal: AbortSignal
  /** Called with each answer. */
  readonly onAnswer: (() => void) | undefined
}

/** Asks a namespace who it is and what it can do, and makes a path of it where it is the one of `info`. */
export async function openPath(
  host: PathHost,
  link: PathLink,
  nsid: number,
  info: PathInfo,
  { signal, onAnswer }: OpenPathOptions,
): Promise<NvmePath> {
  const { association } = link
  let changed = false
  // What comes while it is opened must not be lost between this and the path's own ear.
  const listener = {
    lost() {},
    namespaces(ids: readonly number[] | undefined) {
      changed ||= ids === undefined || ids.includes(nsid)
    },
    ana() {
      changed = true
    },
  }
  association.listeners.add(listener)
  const asker: Asker = { clock: host.clock, association, owner: listener, signal, onAnswer }
  try {
    const seen = await readNamespace(asker, nsid)
    if (seen === undefined) throw new BlockError('CONNECT_FAILED', `${info.id} leads to no namespace`)
    const { identity } = seen
    if (identity.volume !== info.volume) {
      throw new BlockError('IDENTITY_CHANGED', `${info.id} leads to ${identity.volume} and not to ${info.volume}`)
    }
    const disk = await readDisk(asker, seen, host)
    const access = await readAccess(asker, nsid, seen.data.anaGroup)
    if (disk === undefined && takesIo(access)) {
      throw new BlockError('CONNECT_FAILED', `${info.id} does not tell its size`)
    }
    if (changed) await checkAgain(asker, seen, info)
    // What answered while the end came is no path any more.
    signal.throwIfAborted()
    const { error } = association
    if (error !== undefined) throw new BlockError('CONNECT_FAILED', error.message, { cause: error })
    // A port that takes no I/O need not tell of the namespace: it is opened all the same, to be used later.
    const known = host.lastDisk(info.volume, disk) ?? untoldDisk(info, host)
    const path = new NvmePath(host, link, info.id, { identity, disk: known, access })
    if (changed) path.lookAgain()
    return path
  } finally {
    association.listeners.delete(listener)
  }
}

async function checkAgain(asker: Asker, { identity }: Seen, info: PathInfo): Promise<void> {
  const now = await readNamespace(asker, identity.nsid)
  const difference = differenceOf(identity, now?.identity)
  if (difference !== undefined) throw new BlockError('IDENTITY_CHANGED', `${info.id} now ${difference}`)
}
