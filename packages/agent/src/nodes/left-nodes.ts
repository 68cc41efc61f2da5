import { isDeepStrictEqual } from 'node:util'
import type { KernelNode } from '@blockbraid/core'
import type { Config, DeviceConfig, PluginUse } from '../config/config.ts'
import type { CreateTransport } from '../plugins/plugins.ts'

/** Kernel nodes that this process does not serve, of the transports that a config names. */
export async function leftNodes(
  { devices }: Config,
  createOf: (device: DeviceConfig) => CreateTransport,
): Promise<readonly KernelNode[]> {
  const found = new Map<string, KernelNode>()
  // Each list looks through all processes of the host for users, and I/O on the nodes waits meanwhile.
  const asked: Pick<PluginUse, 'use' | 'options'>[] = []
  for (const device of devices) {
    const { use, options } = device.transport
    if (asked.some((one) => isDeepStrictEqual(one, { use, options }))) continue
    asked.push({ use, options })
    for (const one of await list(createOf(device), options))
      if (!one.served || one.pid !== process.pid) found.set(one.node, one)
  }
  return [...found.values()]
}

async function list(
  create: CreateTransport,
  options: DeviceConfig['transport']['options'],
): Promise<readonly KernelNode[]> {
  try {
    const transport = create(options)
    try {
      return (await transport.nodes?.()) ?? []
    } finally {
      await transport.close()
    }
  } catch {
    // The attach that follows says better what is wrong.
    return []
  }
}
