import type { PathInfo } from '@blockbraid/core'
import { formatSize } from './amounts.ts'
import { formatTable, printable } from './table.ts'

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

/** Paths that targets offer, by the volume that they lead to. */
export function groupByVolume(
  found: readonly { readonly target: string; readonly paths: readonly PathInfo[] }[],
): Volumes {
  const volumes = new Map<
    string,
    { -readonly [Key in keyof Volumes['volumes'][number]]: Volumes['volumes'][number][Key] }
  >()
  for (const { target, paths } of found) {
    for (const { id, address, lun, volume, size, blockSize, product } of paths) {
      const known = volumes.get(volume) ?? { volume, size, blockSize, product: product ?? '', paths: [] }
      known.paths = [...known.paths, { id, target, address, lun: lun ?? null }]
      volumes.set(volume, known)
    }
  }
  return { volumes: [...volumes.values()] }
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
