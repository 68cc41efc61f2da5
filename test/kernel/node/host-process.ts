// What an agent does, without config and control socket, so that it starts in less time: see agents.ts.
import { createHostAgent } from '@blockbraid/core'
import { roundRobin } from '@blockbraid/policy-round-robin'
import { iscsi } from '@blockbraid/target-iscsi'
import type { AgentConfig } from './agents.ts'
import { createTransport } from './bed.ts'

const config = JSON.parse(process.argv[2] ?? '') as AgentConfig
const { use: _use, ...options } = config.targets[0]
const target = iscsi({ ...options, initiator: config.initiator })
const agent = createHostAgent({ targets: [target] })
// Until the array answers in time; the machine may be busy.
while ((await agent.rescan()).errors.length > 0);
const pairs = []
for (const { volume, name, transport, multipath } of config.devices) {
  const { use: _transport, ...rest } = transport
  const every = agent.devices().filter(({ kind, id }) => kind === 'multipath' && (volume === '*' || id === volume))
  for (const [n, { id }] of every.entries()) {
    const pair = await agent.pair({
      name: name.replace('{n}', String(n)),
      device: id,
      transport: await createTransport(rest),
      selector: () => roundRobin(),
      multipath,
    })
    pairs.push({ name: pair.id, node: pair.kernel.node, tookOver: pair.kernel.tookOver === true })
  }
}
process.once('SIGTERM', () => void agent.close().then(() => process.exit()))
console.log(JSON.stringify({ pairs }, null, 2))
