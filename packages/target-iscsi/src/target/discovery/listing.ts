import type { PathInfo } from '@blockbraid/core'
import { BlockError, Errno, errnoOf, messageOf } from '@blockbraid/core'
import type { Listing, TargetPlace } from '@blockbraid/wire'
import { Limiter } from '@blockbraid/wire'
import { reportLuns } from '../../scsi/cdb.ts'
import { SCSI } from '../../scsi/command-set.ts'
import type { Lun } from '../../scsi/lun.ts'
import { lunNumber, lunOf, parseLun } from '../../scsi/lun.ts'
import { decodeLuns } from '../../scsi/luns.ts'
import { pathId } from '../place/path-id.ts'
import type { Asker } from '../unit/ask.ts'
import { ask, ScsiError } from '../unit/ask.ts'
import type { Identity } from '../unit/disk.ts'
import { productOf, readCapacity, readIdentity } from '../unit/disk.ts'

/** Logical units that are taken of one portal. */
export const MAX_LUNS = 4096
const MAX_AT_ONCE = 16
// A logical unit that hangs holds up no others for longer, milliseconds.
const PATIENCE = 1000
// REPORT LUNS, which is there also where no logical unit 0 is (SPC-5 §8.3).
const WELL_KNOWN = parseLun('0xc101000000000000') as Lun

/**
 * Lists the disks that are mapped to us at a place, by asking there; `heard` is called with each answer. A logical unit
 * that is told of and does not say what it is just now stays what it was before; it costs no other one anything.
 */
export async function fillListing(
  listing: Listing,
  wanted: readonly number[] | undefined,
  base: Omit<Asker, 'lun'>,
  heard: (disk: boolean) => void,
): Promise<void> {
  const told = await listLuns(base, wanted, listing)
  heard(false)
  const used = told.filter((lun) => wanted === undefined || wanted.includes(lunNumber(lun) ?? -1))
  const luns = used.filter(({ name }) => !listing.keep(name))
  if (luns.length < used.length) heard(true)
  for (const { name } of luns) listing.waiting.add(name)
  const turns = new Limiter(base.options.clock, MAX_AT_ONCE, PATIENCE)
  const asked = luns.map((lun) =>
    turns.run(async () => {
      const info = await describe(listing, lun, wanted !== undefined, { ...base, lun })
      listing.waiting.delete(lun.name)
      if (info !== undefined) listing.infos.set(lun.name, info)
      heard(info !== undefined)
    }),
  )
  const failed = (await Promise.allSettled(asked)).find((one) => one.status === 'rejected')
  if (failed !== undefined) throw failed.reason
  listing.complete = true
}

/** Logical units by REPORT LUNS at 0, else at the well-known one; where both refuse, those of the options. */
async function listLuns(
  base: Omit<Asker, 'lun'>,
  wanted: readonly number[] | undefined,
  listing: Listing,
): Promise<readonly Lun[]> {
  try {
    return await askLuns({ ...base, lun: lunOf(0) })
  } catch (error) {
    if (!(error instanceof ScsiError)) throw error
    try {
      return await askLuns({ ...base, lun: WELL_KNOWN })
    } catch (second) {
      if (!(second instanceof ScsiError) && !(BlockError.is(second) && second.code === 'TIMED_OUT')) throw second
    }
    if (wanted === undefined && !error.notSupported && !isGone(error)) throw error
    if (wanted === undefined) listing.remarks.add('does not tell its logical units: name them by the option luns')
    return (wanted ?? [0]).map(lunOf)
  }
}

async function askLuns(asker: Asker): Promise<readonly Lun[]> {
  let { luns, length } = decodeLuns(await ask(asker, 'REPORT LUNS', reportLuns()))
  const most = 8 + MAX_LUNS * 8
  if (length > most) {
    throw new BlockError('TOO_LARGE', `the target reports ${(length - 8) / 8} logical units; ${MAX_LUNS} are the limit`)
  }
  if (length > 8192) ({ luns } = decodeLuns(await ask(asker, 'REPORT LUNS', reportLuns(length))))
  return luns
}

function isGone(error: ScsiError): boolean {
  return errnoOf(error.verdict.status) === Errno.ENODEV
}

async function describe(listing: Listing, lun: Lun, named: boolean, asker: Asker): Promise<PathInfo | undefined> {
  const { name } = lun
  const before = listing.before.get(name)
  const note = (text: string, missing: boolean): void => void listing.notes.push({ unit: name, text, missing })
  try {
    const identity = await readIdentity(asker)
    if (identity === undefined) {
      if (named) note('is no disk', false)
      return undefined
    }
    const { size, blockSize } = await readCapacity(asker).catch((error: unknown) => {
      if (!(error instanceof ScsiError)) throw error
      listing.sizeless.set(name, error.message)
      // In standby it may not tell its size: another path does, or has.
      return before?.volume === identity.volume ? before : { size: 0, blockSize: 512 }
    })
    return infoOf(listing.place, lun, identity, size, blockSize)
  } catch (error) {
    // One logical unit that fails, or that is of no use here, must not hide the others.
    if (error instanceof ScsiError) {
      if (isGone(error)) return undefined
      note(`cannot be looked at: ${error.message}`, true)
      return before
    }
    if (!BlockError.is(error) || error.code === 'IO_FAILED' || error.code === 'ABORTED') throw error
    const hangs = error.code === 'TIMED_OUT'
    note(hangs ? `does not answer: ${messageOf(error)}` : `cannot be used: ${messageOf(error)}`, hangs)
    return hangs ? before : undefined
  }
}

function infoOf(place: TargetPlace, lun: Lun, identity: Identity, size: number, blockSize: number): PathInfo {
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
    protocol: SCSI,
  }
}
