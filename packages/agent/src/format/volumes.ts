import type { OfferedPath, PathInfo } from '@blockbraid/core'
import { joinPaths, joinRules } from '@blockbraid/core'
import { formatSize } from '../text/amounts.ts'
import { formatTable, printable } from '../text/table.ts'

/** What `discover --json` prints. */
export interface Volumes {
  readonly volumes: readonly {
    readonly volume: string
    readonly size: number
    readonly blockSize: number
    readonly product: string
    readonly paths: readonly {
      readonly id: string
      readonly target: string
      readonly address: string
      readonly lun: string | null
    }[]
  }[]
}

type Volume = Volumes['volumes'][number]

/**
 * Paths that targets offer, by the volume that they lead to; those that are not joined stand alone. `refused` says
 * why they are not.
 */
export function groupByVolume(
  found: readonly { readonly target: string; readonly paths: readonly PathInfo[] }[],
): Volumes & { readonly refused: readonly string[] } {
  const sources = found.flatMap(({ target, paths }) => paths.map((info) => ({ target: { name: target }, info })))
  const { volumes, errors } = joinPaths(sources, joinRules())
  const groups = new Map<readonly OfferedPath[], Volume>()
  for (const source of sources) {
    const all = volumes.get(source.info.volume) ?? [source]
    if (!groups.has(all)) groups.set(all, volumeOf(all))
  }
  return { volumes: [...groups.values()], refused: errors.map(({ error }) => error.message) }
}

function volumeOf(sources: readonly OfferedPath[]): Volume {
  const { volume, size, blockSize, product = '' } = sources[0]!.info
  const paths = sources.map(({ target, info: { id, address, lun = null } }) => ({
    id,
    target: target.name,
    address,
    lun,
  }))
  return { volume, size, blockSize, product, paths }
}

const columns = [{ title: 'path', elastic: true }, { title: 'address' }, { title: 'lun' }] as const

/** Volumes and the paths to them, `width` characters wide. */
export function formatVolumes({ volumes }: Volumes, width: number): string[] {
  if (volumes.length === 0) return ['no volumes']
  return volumes.flatMap(({ volume, size, blockSize, product, paths }) => {
    const rows = paths.map((path) => [path.id, path.address, path.lun ?? '-'])
    return [
      printable(volume),
      printable(`  ${formatSize(size)} in blocks of ${formatSize(blockSize)}${product === '' ? '' : `, ${product}`}`),
      ...formatTable(columns, rows, width - 2).map((line) => `  ${line}`),
    ]
  })
}
