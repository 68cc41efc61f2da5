// A kernel node on the simulated array, one path, no policy: prints the node, serves until it is told to end.
//   serve.ts nbd|ublk SIZE
import { createHostAgent, type Transport } from '@blockbraid/core'
import { memory } from '@blockbraid/target-memory'
import { nbd } from '@blockbraid/transport-nbd'
import { ublk } from '@blockbraid/transport-ublk'

const [kind = 'nbd', size = '128MiB'] = process.argv.slice(2)
const agent = createHostAgent({ targets: [memory({ volumes: [{ size }] })] })
await agent.rescan()
const device = agent.devices()[0]!.id
const transport: Transport = kind === 'ublk' ? ublk({}) : nbd({ kernel: true })
const pair = await agent.pair({ name: `bench-${kind}`, device, transport })
console.log(pair.kernel.node)
const end = async (): Promise<void> => {
  await agent.close({ mode: 'force' })
  await transport.close()
}
process.on('SIGTERM', () => void end())
