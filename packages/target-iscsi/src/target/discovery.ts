import type { Clock, PathInfo, SignalOptions } from '@blockbraid/core'
import { BlockError, Errno, errnoOf, messageOf } from '@blockbraid/core'
import { parseSendTargets } from '../login/send-targets.ts'
import { reportLuns } from '../scsi/cdb.ts'
import type { Lun } from '../scsi/lun.ts'
import { lunOf } from '../scsi/lun.ts'
import { decodeLuns } from '../scsi/luns.ts'
import type { Session } from '../session/session.ts'
import type { Asker } from './ask.ts'
import { ask, ScsiError } from './ask.ts'
import type { Identity } from './disk.ts'
import { productOf, readCapacity, readIdentity } from './disk.ts'
import { pathId } from './path-id.ts'
import type { Portal } from './portal.ts'
import { portalOf } from './portal.ts'
import type { Told } from './systems.ts'

/** A target at a portal. */
export interface Place {
  readonly targetName: string
  readonly portal: Portal
  /** Portal group, as SendTargets told; undefined where it did not name this portal. */
  readonly group: number | undefined
}

/** What discovery needs of its target. */
export interface DiscoveryHost {
  readonly portals: readonly Portal[]
  readonly target: string | undefined
  readonly toldPortals: boolean
  readonly clock: Clock
  /** One try at a discovery session. */
  openDiscovery(portal: Portal, options: SignalOptions): Promise<Session>
}

const TEXT_LIMIT = 4 * 1024 * 1024
/** Logical units that are taken of one portal. */
export const MAX_LUNS = 4096
const MAX_AT_ONCE = 16
// Portals are asked where targets are, and then what is there: both within what core waits for the whole, milliseconds.
const PATIENCE = 4000

/** Where targets are, and which portals did not say so. */
export interface Places {
  readonly places: readonly Place[]
  readonly told: Told
  readonly failures: readonly BlockError[]
}

/** Asks each of them; once one has answered, one that is silent is waited for no longer than four seconds in all. */
export async function askEach<Asked, Answer>(
  all: readonly Asked[],
  clock: Clock,
  signal: AbortSignal,
  ask: (one: Asked, options: { signal: AbortSignal }) => Promise<Answer>,
): Promise<PromiseSettledResult<Answer>[]> {
  const given = new AbortController()
  const options = { signal: AbortSignal.any([signal, given.signal]) }
  const rest = { answered: false, late: false }
  const look = (): void => {
    if (rest.answered && rest.late) given.abort()
  }
  const timer = clock.after(PATIENCE, () => {
    rest.late = true
    look()
  })
  const asked = all.map(async (one) => {
    try {
      const answer = await ask(one, options)
      rest.answered = true
      look()
      return answer
    } catch (error) {
      if (!given.signal.aborted) throw error
      throw new BlockError('TIMED_OUT', `no answer to discovery within ${PATIENCE} ms`, { cause: error })
    }
  })
  try {
    return await Promise.allSettled(asked)
  } finally {
    timer.cancel()
  }
}

/** Asks every portal for its targets (RFC 7143 appendix C). */
export async function findPlaces(host: DiscoveryHost, { signal }: { readonly signal: AbortSignal }): Promise<Places> {
  const places = new Map<string, Place>()
  const failures: BlockError[] = []
  const told = new Map<string, Map<string, Set<string>>>()
  const add = (targetName: string, portal: Portal, group: number | undefined): void => {
    const key = `${targetName} ${portal.address}`
    if (places.get(key)?.group === undefined) places.set(key, { targetName, portal, group })
  }
  const asked = await askEach(host.portals, host.clock, signal, (portal, options) => sendTargets(host, portal, options))
  const answered = new Set<string>()
  for (const [index, result] of asked.entries()) {
    const portal = host.portals[index] as Portal
    if (result.status === 'rejected') {
      failures.push(toBlockError(result.reason))
      continue
    }
    answered.add(portal.address)
    for (const found of result.value) {
      if (host.target !== undefined && found.name !== host.target) continue
      add(found.name, portal, found.portals.find((one) => addressOfTold(one) === portal.address)?.tag)
      told.set(found.name, told.get(found.name) ?? new Map())
      told.get(found.name)?.set(portal.address, new Set(found.portals.map(addressOfTold)))
      for (const one of found.portals) {
        const other = portalOf(one.host, one.port)
        const configured = host.portals.some(({ address }) => address === other.address)
        if (isNowhere(one.host) || (!configured && !host.toldPortals)) continue
        add(found.name, other, one.tag)
      }
    }
  }
  return { places: [...places.values()], told, failures }
}

async function sendTargets(host: DiscoveryHost, portal: Portal, options: SignalOptions) {
  const session = await host.openDiscovery(portal, options)
  const { signal } = options
  const stop = (): void => session.drop(new BlockError('ABORTED', `${portal.address}: discovery was called off`))
  signal?.addEventListener('abort', stop)
  if (signal?.aborted) stop()
  try {
    return parseSendTargets(await session.text(Buffer.from('SendTargets=All\0'), TEXT_LIMIT))
  } finally {
    await session.logout()
    signal?.removeEventListener('abort', stop)
  }
}

function addressOfTold({ host, port }: { readonly host: string; readonly port: number }): string {
  return portalOf(host, port).address
}

// What a target that listens everywhere may say of itself.
function isNowhere(host: string): boolean {
  return host === '0.0.0.0' || host === '::'
}

/**
 * Lists the disks that are mapped to us at a place, by asking there. A logical unit that is told of and does not say
 * what it is just now stays what it was `before`.
 */
export async function listPaths(
  place: Place,
  wanted: readonly number[] | undefined,
  before: readonly PathInfo[],
  asker: Omit<Asker, 'lun'>,
): Promise<readonly PathInfo[]> {
  const names = wanted === undefined ? undefined : new Set(wanted.map(String))
  const luns = (await listLuns({ ...asker, lun: lunOf(0) })).filter((lun) => names?.has(lun.name) ?? true)
  const infos: (PathInfo | undefined)[] = []
  let next = 0
  const work = async (): Promise<void> => {
    while (next < luns.length) {
      const index = next++
      const lun = luns[index] as Lun
      infos[index] = await describe(
        place,
        lun,
        before.find((info) => info.lun === lun.name),
        asker,
      )
    }
  }
  await Promise.all(Array.from({ length: Math.min(MAX_AT_ONCE, luns.length) }, work))
  return infos.filter((info) => info !== undefined)
}

async function listLuns(asker: Asker): Promise<readonly Lun[]> {
  let { luns, length } = decodeLuns(await ask(asker, 'REPORT LUNS', reportLuns()))
  const most = 8 + MAX_LUNS * 8
  if (length > most) {
    throw new BlockError('TOO_LARGE', `the target reports ${(length - 8) / 8} logical units; ${MAX_LUNS} are the limit`)
  }
  if (length > 8192) ({ luns } = decodeLuns(await ask(asker, 'REPORT LUNS', reportLuns(length))))
  return luns
}

async function describe(
  place: Place,
  lun: Lun,
  before: PathInfo | undefined,
  base: Omit<Asker, 'lun'>,
): Promise<PathInfo | undefined> {
  const asker = { ...base, lun }
  try {
    const identity = await readIdentity(asker)
    if (identity === undefined) return undefined
    const { size, blockSize } = await readCapacity(asker).catch((error: unknown) => {
      if (!(error instanceof ScsiError)) throw error
      // In standby it may not tell its size: another path does, or has.
      return before?.volume === identity.volume ? before : { size: 0, blockSize: 512 }
    })
    return infoOf(place, lun, identity, size, blockSize)
  } catch (error) {
    // One logical unit that fails, or that is of no use here, must not hide the others.
    if (error instanceof ScsiError) return errnoOf(error.verdict.status) === Errno.ENODEV ? undefined : before
    if (!BlockError.is(error) || error.code === 'IO_FAILED' || error.code === 'ABORTED') throw error
    return error.code === 'TIMED_OUT' ? before : undefined
  }
}

function infoOf(place: Place, lun: Lun, identity: Identity, size: number, blockSize: number): PathInfo {
  const { portal, targetName } = place
  return {
    id: pathId({ targetName, portal, lun }),
    address: portal.address,
    volume: identity.volume,
    size,
    blockSize,
    lun: lun.name,
    product: productOf(identity),
    ...(identity.serial === undefined ? {} : { serial: identity.serial }),
    endpoint: targetName,
  }
}

/** Puts the lists together: sizes that one path did not tell are those of another; what nobody told is left out. */
export function complete(infos: readonly PathInfo[]): PathInfo[] {
  const told = new Map<string, PathInfo>()
  for (const info of infos) if (info.size > 0) told.set(info.volume, info)
  return infos.flatMap((info) => {
    if (info.size > 0) return [info]
    const other = told.get(info.volume)
    return other === undefined ? [] : [{ ...info, size: other.size, blockSize: other.blockSize }]
  })
}

/** The same paths at another portal of the same group, which cannot be asked now. */
export function movedTo(place: Place, infos: readonly PathInfo[], lunOfInfo: (info: PathInfo) => Lun): PathInfo[] {
  const { targetName, portal } = place
  return infos.map((info) => ({
    ...info,
    id: pathId({ targetName, portal, lun: lunOfInfo(info) }),
    address: portal.address,
  }))
}

/** Anything thrown, as a BlockError. */
export function toBlockError(error: unknown): BlockError {
  return BlockError.is(error) ? error : new BlockError('CONNECT_FAILED', messageOf(error), { cause: error })
}
