import { formatNodes } from '../format/nodes.ts'
import { withHostNodes } from '../nodes/host-nodes.ts'
import type { Terminal } from '../terminal/terminal.ts'
import { print } from '../terminal/terminal.ts'

/** `blockbraid nodes`: kernel nodes on this host; needs no agent. */
export async function nodes(terminal: Terminal, options: { json?: boolean }): Promise<void> {
  const { nodeTransports, folder, interrupted } = terminal
  await withHostNodes(nodeTransports, folder, interrupted, async ({ found, errors }) => {
    const listed = found.map(({ node: { node, name, volume, served, users } }) => ({
      node,
      name,
      volume,
      served,
      users,
    }))
    print(terminal, options.json, { nodes: listed }, () => formatNodes(listed, terminal.columns))
    if (errors.length > 0) throw new Error(errors.join('; '))
  })
}
