import type { PathStats, Stats } from '../snapshot/stats.ts'
import { formatCount, formatMicroseconds, formatSize } from '../text/amounts.ts'
import { wrap } from '../text/facts.ts'
import { formatTable, printable } from '../text/table.ts'
import { oddities } from './oddities.ts'
import { many } from './why-line.ts'

const columns = [
  { title: 'path', elastic: true },
  { title: 'I/Os', align: 'right' },
  { title: 'bytes', align: 'right' },
  { title: 'errors', align: 'right' },
  { title: 'moved', align: 'right' },
  { title: 'downs', align: 'right' },
  { title: 'p50', align: 'right' },
  { title: 'p99', align: 'right' },
] as const

/** Counters of every path, a table a pair, `width` characters wide. */
export function formatStats(stats: Stats, width: number): string[] {
  if (stats.pairs.length === 0) return ['no pairs']
  return stats.pairs.flatMap((pair) => {
    const waiting = pair.parked + pair.queued
    const facts = [pair.policy || 'no policy', pair.state, ...(waiting > 0 ? [`${waiting} I/Os wait`] : [])]
    if (pair.refused !== undefined) facts.push(`${formatCount(pair.refused)} I/Os refused: too much waited`)
    if (pair.expired !== undefined) facts.push(`${many(pair.expired, 'I/O')} ended with EIO`)
    if (pair.guards !== undefined) facts.push(`${pair.guards} ${pair.guards === 1 ? 'range' : 'ranges'} guarded`)
    const rows = pair.paths.map((path) => [
      path.id,
      formatCount(path.ios),
      formatSize(path.bytes),
      formatCount(path.errors),
      formatCount(path.retries),
      formatCount(path.failures),
      formatMicroseconds(path.p50Us),
      formatMicroseconds(path.p99Us),
    ])
    const title = printable(`${pair.name}  ${facts.join(', ')}`)
    const [head = '', ...lines] = formatTable(columns, rows, width - 2)
    return [
      title,
      ...oddities(pair).map((text) => `  ${text}`),
      `  ${head}`,
      ...lines.flatMap((line, index) => [`  ${line}`, ...formatCounts(pair.paths[index]!, width)]),
    ]
  })
}

function formatCounts({ troubles = {}, ailments = {}, fences = {} }: PathStats, width: number): string[] {
  return [
    ...linesOf('', troubles, width),
    ...linesOf('not well: ', ailments, width),
    ...linesOf('fenced: ', fences, width),
  ]
}

function linesOf(title: string, counts: Readonly<Record<string, number>>, width: number): string[] {
  const counted = Object.entries(counts).sort(([, one], [, other]) => other - one)
  if (counted.length === 0) return []
  const text = counted.map(([kind, count]) => `${kind} ${formatCount(count)}`).join(', ')
  return wrap(printable(`${title}${text}`), width - 4).map((line) => `    ${line}`)
}
