import type { Association } from '../association/association.ts'
import { readNvmLimits } from '../controller/namespaces.ts'
import type { Controller, NvmLimits } from '../nvme/controller-data.ts'
import { decodeController } from '../nvme/controller-data.ts'
import type { Asker } from './ask.ts'
import { ask } from './ask.ts'

/** What a controller can do with any of its namespaces. */
export interface ControllerLimits {
  readonly controller: Controller
  /** Largest read or write, bytes. */
  readonly transfer: number
  /** Largest Write Zeroes, bytes. */
  readonly zeroes: number
  /** Of a Dataset Management; each is 0 where no limit is told. */
  readonly deallocate: Pick<NvmLimits, 'ranges' | 'rangeBlocks' | 'blocks'>
}

const known = new WeakMap<Association, ControllerLimits>()

/** Reads what a controller can do: once for each association. */
export async function readControllerLimits(asker: Asker): Promise<ControllerLimits> {
  const { association } = asker
  const before = known.get(association)
  if (before !== undefined) return before
  const limits = limitsOf(association, await ask(asker, readNvmLimits))
  known.set(association, limits)
  return limits
}

function limitsOf({ controller: facts }: Association, nvm: NvmLimits | undefined): ControllerLimits {
  const controller = decodeController(facts.identify)
  const bytes = (power: number): number => (power === 0 ? Infinity : facts.pageSize * 2 ** power)
  const transfer = bytes(controller.maxTransfer)
  const zeroes = nvm === undefined || nvm.writeZeroes === 0 ? transfer : bytes(nvm.writeZeroes)
  return { controller, transfer, zeroes, deallocate: nvm ?? { ranges: 0, rangeBlocks: 0, blocks: 0 } }
}
