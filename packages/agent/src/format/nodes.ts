import type { KernelNode } from '@blockbraid/core'
import { facts } from '../text/facts.ts'
import { formatTable, shortenAlike } from '../text/table.ts'

const columns = [{ title: 'node' }, { title: 'name' }, { title: 'state' }, { title: 'volume', elastic: true }] as const

/** Kernel nodes and who uses them, `width` characters wide. */
export function formatNodes(nodes: readonly KernelNode[], width: number): string[] {
  if (nodes.length === 0) return ['no kernel nodes']
  const names = shortenAlike(
    nodes.map(({ name }) => name || '-'),
    Math.max(8, Math.floor(width / 3)),
  )
  const rows = nodes.map(({ node, served, volume }, index) => [
    node,
    names[index]!,
    served ? 'served' : 'orphaned',
    volume || '-',
  ])
  const [title = '', ...lines] = formatTable(columns, rows, width)
  return [
    title,
    ...lines.flatMap((line, index) => {
      const { users } = nodes[index]!
      if (users.length === 0) return [line]
      return [line, ...facts([['used by', users.join(', ')]], width - 2).map((text) => `  ${text}`)]
    }),
  ]
}
