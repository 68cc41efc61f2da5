import type { KernelNode } from '@blockbraid/core'
import type { Config, DeviceConfig } from '../config/config.ts'
import type { CreateTransport } from '../transports.ts'

/** Kernel nodes that no process serves, of the transports that a config names. */
export async function leftNodes(
  { devices }: Config,
  createOf: (device: DeviceConfig) => CreateTransport,
): Promise<readonly KernelNode[]> {
  const found = new Map<string, KernelNode>()
  for (const device of devices) {
    for (const one of await list(createOf(device), device.transport.options)) if (!one.served) found.set(one.node, one)
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
