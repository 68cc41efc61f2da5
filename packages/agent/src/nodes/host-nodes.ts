import type { KernelNode, Transport } from '@blockbraid/core'
import { BlockError, messageOf, systemHost } from '@blockbraid/core'
import type { PluginUse } from '../config/config.ts'
import { loadTransport } from '../plugins/plugins.ts'

/** A kernel node of blockbraid, and the transport that can remove it. */
export interface HostNode {
  readonly node: KernelNode
  readonly transport: Transport
}

/** What is on this host. */
export interface HostNodes {
  readonly found: readonly HostNode[]
  /** One line for each transport that could not be asked. One that this host cannot have is no news beside another. */
  readonly errors: readonly string[]
}

/** Calls `use` with the kernel nodes on this host, of any process; no agent is needed. */
export async function withHostNodes<Result>(
  plugins: readonly PluginUse[],
  folder: string,
  signal: AbortSignal,
  use: (nodes: HostNodes) => Promise<Result>,
): Promise<Result> {
  const found: HostNode[] = []
  const errors: { text: string; absent: boolean }[] = []
  const transports: Transport[] = []
  try {
    for (const plugin of plugins) {
      try {
        const transport = (await loadTransport(plugin, folder, systemHost))(plugin.options)
        transports.push(transport)
        for (const node of (await transport.nodes?.({ signal })) ?? []) found.push({ node, transport })
      } catch (error) {
        const text = messageOf(error)
        const named = text.startsWith(`${plugin.use}: `) ? text : `${plugin.use}: ${text}`
        errors.push({ text: named, absent: isAbsent(error) })
      }
    }
    const all = errors.length === plugins.length
    const told = errors.filter(({ absent }) => all || !absent).map(({ text }) => text)
    return await use({ found, errors: told })
  } finally {
    await Promise.all(transports.map((transport) => transport.close()))
  }
}

// A kernel without the driver has no nodes of it; without our own binary we only cannot see them.
function isAbsent(error: unknown): boolean {
  if (!BlockError.is(error) || error.code !== 'NOT_SUPPORTED') return false
  return (error.cause as { code?: unknown } | undefined)?.code !== 'ERR_NO_ADDON'
}
