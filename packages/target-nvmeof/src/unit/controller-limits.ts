import type { Association } from '../association/association.ts'
import { Cns, identify } from '../nvme/admin.ts'
import { demand } from '../nvme/ask.ts'
import type { Controller, NvmLimits } from '../nvme/controller-data.ts'
import { decodeController, decodeNvmLimits } from '../nvme/controller-data.ts'
import type { Asker } from './ask.ts'
import { askIfKnown } from './ask.ts'

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
  const told = await askIfKnown(asker, () => demand('Identify of the NVM command set', identify(Cns.NvmController)))
  const limits = limitsOf(association, told === undefined ? undefined : decodeNvmLimits(told.data))
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
