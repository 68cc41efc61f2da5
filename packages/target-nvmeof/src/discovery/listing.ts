import type { PathInfo } from '@blockbraid/core'
import { BlockError, messageOf } from '@blockbraid/core'
import type { Listing } from '@blockbraid/wire'
import { Limiter } from '@blockbraid/wire'
import { activeNamespaces, checkForm } from '../controller/namespaces.ts'
import { NVME } from '../nvme/command-set.ts'
import { StatusError } from '../nvme/status-error.ts'
import { pathId } from '../place/path-id.ts'
import type { Asker } from '../unit/ask.ts'
import { ask } from '../unit/ask.ts'
import type { Seen } from '../unit/identity.ts'
import { readNamespace } from '../unit/identity.ts'

const MAX_AT_ONCE = 16
// A namespace that hangs holds up no others for longer, milliseconds.
const PATIENCE = 1000

/**
 * Lists the namespaces of a controller, by asking it; `heard` is called with each answer. A namespace that is told of and
 * does not say what it is just now stays what it was before; it costs no other one anything.
 */
export async function fillListing(
  listing: Listing,
  wanted: readonly number[] | undefined,
  asker: Asker,
  heard: (disk: boolean) => void,
): Promise<void> {
  const told = await ask(asker, activeNamespaces)
  heard(false)
  const used = told.filter((nsid) => wanted === undefined || wanted.includes(nsid))
  const asked = used.filter((nsid) => !listing.keep(String(nsid)))
  if (asked.length < used.length) heard(true)
  for (const nsid of asked) listing.waiting.add(String(nsid))
  const turns = new Limiter(asker.clock, MAX_AT_ONCE, PATIENCE)
  const answers = asked.map((nsid) =>
    turns.run(async () => {
      const info = await describe(listing, nsid, asker)
      listing.waiting.delete(String(nsid))
      if (info !== undefined) listing.infos.set(String(nsid), info)
      heard(info !== undefined)
    }),
  )
  const failed = (await Promise.allSettled(answers)).find((one) => one.status === 'rejected')
  if (failed !== undefined) throw failed.reason
  listing.complete = true
}

async function describe(listing: Listing, nsid: number, asker: Asker): Promise<PathInfo | undefined> {
  const unit = String(nsid)
  const before = listing.before.get(unit)
  const note = (text: string, missing: boolean): void => void listing.notes.push({ unit, text, missing })
  try {
    const seen = await readNamespace(asker, nsid)
    if (seen === undefined) return undefined
    checkForm(seen.facts)
    return infoOf(listing, seen, before, asker)
  } catch (error) {
    // One namespace that fails, or that is of no use here, must not hide the others.
    if (error instanceof StatusError) {
      note(`cannot be looked at: ${error.message}`, true)
      return before
    }
    if (asker.association.error !== undefined || !BlockError.is(error) || error.code === 'ABORTED') throw error
    const hangs = error.code === 'TIMED_OUT'
    note(hangs ? `does not answer: ${messageOf(error)}` : `cannot be used: ${messageOf(error)}`, hangs)
    return hangs ? before : undefined
  }
}

function infoOf(listing: Listing, { identity, data }: Seen, before: PathInfo | undefined, asker: Asker): PathInfo {
  const { nsid, volume } = identity
  const { portal, targetName } = listing.place
  const { model, serial } = asker.association.controller
  const unit = String(nsid)
  let [size, blockSize] = [data.blocks * 2 ** data.blockShift, 2 ** data.blockShift]
  if (size === 0) {
    listing.sizeless.set(unit, 'a namespace that takes no I/O need not')
    // Another path does, or has.
    if (before?.volume === volume) ({ size, blockSize } = before)
  }
  return {
    id: pathId({ subNqn: targetName, portal, nsid }),
    address: portal.address,
    volume,
    size,
    blockSize,
    lun: unit,
    product: model,
    serial,
    endpoint: targetName,
    protocol: NVME,
  }
}
