// A multipath device in your own program: used directly, and exported to any NBD client.
import { createHostAgent } from '@blockbraid/core'
import { queueDepth } from '@blockbraid/policy-queue-depth'
import { memory } from '@blockbraid/target-memory'
import { nbd } from '@blockbraid/transport-nbd'

const array = memory({ volumes: [{ size: '64MiB' }], ports: 4 })
await using agent = createHostAgent({ targets: [array] })
await agent.rescan()
const volume = agent.devices().find(({ kind }) => kind === 'multipath')
if (volume === undefined) throw new Error('the array has no volume')

await using pair = await agent.pair({
  name: 'disk',
  device: volume.id,
  selector: queueDepth,
  transport: nbd({ host: '127.0.0.1', port: 0 }),
})
pair.events.on('path', ({ id, state, reason }) => console.log(`${id} is ${state} ${reason}`))
console.log(`${pair.paths.length} paths, one device: ${pair.kernel.node}`)

const disk = await agent.open(volume.id)
await disk.write(4096, new TextEncoder().encode('hello'.padEnd(4096)))
await pair.failPath(pair.paths[0]!.id)
const back = await disk.read(4096, 4096)
console.log(`read back over the other paths: ${new TextDecoder().decode(back).trim()}`)
await disk.close()
