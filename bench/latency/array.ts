// One volume in memory behind two NVMe/TCP ports of a simulated array, whose reads take half to one and a half of a time. Prints the
// portals and the name, ends with its standard input.
//   array.ts SIZE MICROSECONDS
import { createNvmeArray } from '@blockbraid/array-nvmeof'
import { memory } from '@blockbraid/target-memory'

const [size, takes] = process.argv.slice(2).map(Number) as [number, number]
const storage = memory({
  volumes: [{ size, blockSize: 4096 }],
  ports: [{ latency: { base: takes / 2, jitter: takes }, queueDepth: 1024 }],
})
const path = await storage.connect((await storage.discover())[0]!)
const array = await createNvmeArray({
  name: 'nqn.2026-11.io.blockbraid:array',
  ports: [{}, {}],
  namespaces: [
    {
      volume: 'uuid.2ad5c0ea-3f1d-4b6b-9e2b-6f7b6b3a9d10',
      device: { limits: path.limits, submit: path.submit.bind(path), close: path.close.bind(path) },
    },
  ],
})
console.log(JSON.stringify([array.name, ...array.ports.map(({ address }) => address)]))
process.stdin.resume()
process.stdin.on('end', () => process.exit(0))
