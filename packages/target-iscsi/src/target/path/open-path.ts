import type { PathInfo } from '@blockbraid/core'
import { BlockError } from '@blockbraid/core'
import type { Lun } from '../../scsi/lun.ts'
import { News } from '../../scsi/status.ts'
import type { Session } from '../../session/session.ts'
import type { Nexus } from '../nexus/nexus.ts'
import type { Asker } from '../unit/ask.ts'
import { askAll, ScsiError, tell } from '../unit/ask.ts'
import type { Disk, Identity } from '../unit/disk.ts'
import { readDisk, readIdentity, untoldDisk } from '../unit/disk.ts'
import { joinRegistrants } from '../unit/register.ts'
import type { Standing } from '../unit/standing.ts'
import { readStanding } from '../unit/standing.ts'
import type { PathHost } from './path.ts'
import { IscsiPath } from './path.ts'
import { takesIo } from './review.ts'

/** Options of {@link openPath}. */
export interface OpenPathOptions {
  readonly signal: AbortSignal
  /** Called with each answer. */
  readonly onAnswer: (() => void) | undefined
}

/** Asks a logical unit who it is and what it can do, and makes a path of it where it is the one of `info`. */
export async function openPath(
  host: PathHost,
  nexus: Nexus,
  session: Session,
  lun: Lun,
  info: PathInfo,
  { signal, onAnswer }: OpenPathOptions,
): Promise<IscsiPath> {
  let heard = 0
  const before = host.lastDisk(info.volume)
  const onNews = (news: number, sense: Uint8Array): void => {
    heard |= news
    tell(session, lun, sense)
  }
  const options = { clock: host.clock, timeout: host.taskTimeout, signal }
  const asker: Asker = { session, owner: {}, options, lun, onNews, onAnswer, opens: true }
  const identity = await readIdentity(asker)
  if (identity === undefined) throw new BlockError('CONNECT_FAILED', `${info.id} leads to no disk`)
  if (identity.volume !== info.volume) {
    throw new BlockError('IDENTITY_CHANGED', `${info.id} leads to ${identity.volume} and not to ${info.volume}`)
  }
  let reading: Promise<Standing> | undefined
  const [standing, disk] = await askAll(asker, [
    () => (reading = readStanding(asker, identity)),
    () => diskOf(host, asker, identity, info, reading),
  ])
  // It may have changed while the rest was read; who is asked now has told all that was to be told.
  if ((heard & (News.Identity | News.Luns)) !== 0 && (await readIdentity(asker))?.volume !== info.volume) {
    throw new BlockError('IDENTITY_CHANGED', `${info.id} no longer leads to ${info.volume}`)
  }
  if (host.registerKey !== undefined) await joinRegistrants(asker, host.registerKey)
  // What answered while the end came is no path any more.
  signal.throwIfAborted()
  if (session.error !== undefined)
    throw new BlockError('CONNECT_FAILED', session.error.message, { cause: session.error })
  // What was told to whoever came first, this opening included.
  const missed = nexus.missed.take(lun)
  if ((missed & News.WriteLost) !== 0) host.writeLost(info.volume)
  const cached = disk.limits.writeCache || before?.limits.writeCache === true
  const wasReset = cached && (missed & News.Reset) !== 0
  return new IscsiPath(host, nexus, session, lun, info.id, { identity, disk, ...standing, wasReset })
}

async function diskOf(
  host: PathHost,
  asker: Asker,
  identity: Identity,
  info: PathInfo,
  reading: Promise<Standing> | undefined,
): Promise<Disk> {
  try {
    const disk = await readDisk(asker, identity, host)
    host.lastDisk(identity.volume, disk)
    return disk
  } catch (error) {
    // A port that takes no I/O may not tell of the disk: it is opened all the same, to be used later.
    if (!(error instanceof ScsiError)) throw error
    const standing = await reading
    if (standing === undefined || takesIo(standing.access)) throw error
    return host.lastDisk(identity.volume) ?? untoldDisk(info, host)
  }
}
