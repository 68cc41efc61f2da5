import type { BlockDevicePair, KernelNode, Transport } from '@blockbraid/core'
import { fillInAll } from '../config/placeholders.ts'
import { takeOverTime } from '../nodes/kernel-node.ts'
import type { PlannedPair } from '../plan/plan.ts'
import { probePolicy } from '../plugins/policy-probe.ts'
import type { Keeping } from './keeping.ts'
import { reportEvents } from './notices.ts'

/** Makes a planned pair; `attaching` gets the attachment when it is asked for, once the volume is open. */
export async function attachPair(
  keeping: Keeping,
  planned: PlannedPair,
  nodes: readonly KernelNode[],
  attaching: (attached: Promise<unknown>) => void,
): Promise<void> {
  const { agent, log, care, signal } = keeping
  const { device, config: entry, name } = planned
  const { selector } = keeping.loaded.get(entry)!
  const { transport, options } = await keeping.preparing(() => prepare(keeping, planned, nodes))
  const pair = await agent.pair(
    {
      name,
      device: device.id,
      description: `${device.product}, ${device.volume}`,
      ...(device.product !== '' && { product: device.product }),
      ...(device.serial !== undefined && { serial: device.serial }),
      transport: watched(transport, attaching),
      ...(selector && { selector }),
      ...(entry.multipath && { multipath: entry.multipath }),
      ...(entry.rates && { rates: entry.rates }),
      ...(entry.shared && { shared: true }),
    },
    { signal },
  )
  keeping.configOf.set(pair, entry)
  keeping.waits.set(name, takeOverTime(options))
  reportEvents(pair, log)
  // I/O began with the pair: what went wrong with it at once was told to nobody.
  if (selector !== undefined && pair.policyFaults > 0) {
    const fault = probePolicy(selector(), pair.paths) ?? `policy ${pair.policy} picked no path`
    log.repeat(`${name}: ${fault}; the first path serves meanwhile`, { topic: `${name}: policy`, severity: 'error' })
  }
  pair.events.on('lost', () => markLost(keeping, pair))
  await care.attached(pair)
}

async function prepare(
  { loaded, transports, care }: Keeping,
  { device, config: entry, name, texts }: PlannedPair,
  nodes: readonly KernelNode[],
): Promise<{ transport: Transport; options: Record<string, unknown> }> {
  const options = fillInAll(entry.transport.options, texts) as Record<string, unknown>
  const transport = await transports.get(loaded.get(entry)!.transport, options)
  const left = nodes.find((node) => !node.served && node.name === name && node.volume === device.volume)
  await care.before(transport, options, left)
  return { transport, options }
}

/** The transport, for one attachment. */
function watched(transport: Transport, attaching: (attached: Promise<unknown>) => void): Transport {
  return {
    name: transport.name,
    attach(device, options) {
      const attached = transport.attach(device, options)
      attaching(attached)
      return attached
    },
    close: (options) => transport.close(options),
  }
}

function markLost({ kept, retry }: Keeping, { id }: BlockDevicePair): void {
  const one = kept.get(id)
  if (one?.state !== 'up') return
  one.state = 'lost'
  retry.plan()
}
