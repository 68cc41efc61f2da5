import type { SignalOptions } from '@blockbraid/core'
import { BlockError } from '@blockbraid/core'
import { ask } from '../nvme/ask.ts'
import { connect } from '../nvme/fabrics.ts'
import type { DialOptions } from './dial.ts'
import { dial } from './dial.ts'
import { LiveAssociation } from './live-association.ts'

// A queue that no controller has: one that is still there refuses it, and is not kept alive by it.
const NO_QUEUE = 0xfffe
const ENTRIES = 2
const IN_CAPSULE = 8192

// Connect Invalid Parameters; the result has where, here the controller ID in the data (NVMe Base 2.1 §6.3).
const INVALID_PARAMETERS = 0x182
const STATUS = 0x7ff
const CONTROLLER_ID = 0x1_0000 | 16
const QUEUE_ID = 42
const PLACE = 0x1_ffff

/**
 * Whether the subsystem at a portal knows no controller of that number of this host any more: asked by the Connect of an I/O
 * queue, which it cannot have. Rejects where it does not say.
 */
export async function forgets(
  options: DialOptions & { readonly commandTimeout: number },
  controller: number,
  { signal = new AbortController().signal }: SignalOptions = {},
): Promise<boolean> {
  const { hostNqn, hostId, subNqn } = options.place
  const association = new LiveAssociation(options)
  const over = (): void => {
    association.drop(new BlockError('CLOSED', 'it was asked'))
    association.release()
  }
  signal.addEventListener('abort', over)
  try {
    const link = await dial(association, options, { depth: ENTRIES, inCapsule: IN_CAPSULE }, signal)
    const request = connect({ hostNqn, hostId, subNqn, queue: NO_QUEUE, entries: ENTRIES, controller })
    const { status, result } = await association.runOn(link, ask(request), { signal })
    const place = result & PLACE
    if ((status & STATUS) === INVALID_PARAMETERS && place === CONTROLLER_ID) return true
    if ((status & STATUS) === INVALID_PARAMETERS && place === QUEUE_ID) return false
    throw new BlockError('PROTOCOL', `${subNqn} does not say whether controller ${controller} is there`)
  } finally {
    signal.removeEventListener('abort', over)
    over()
  }
}
