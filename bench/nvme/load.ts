// Reads or writes the volume of bench/nvme/serve.ts through one of our initiators, and prints what it took as JSON.
//   load.ts nvme|iscsi PORTAL NAME --depth N --seconds N --size BYTES [--writes] [--into] [--garbage]
import { parseArgs } from 'node:util'
import type { Target } from '@blockbraid/core'
import { iscsi } from '@blockbraid/target-iscsi'
import { nvmeof } from '@blockbraid/target-nvmeof'
import { garbageOfPath, loadPath } from '../path-load.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    depth: { type: 'string', default: '32' },
    seconds: { type: 'string', default: '3' },
    size: { type: 'string', default: '4096' },
    writes: { type: 'boolean', default: false },
    into: { type: 'boolean', default: false },
    garbage: { type: 'boolean', default: false },
  },
})
const [protocol = '', portal = '', name = ''] = positionals
const queueDepth = Number(values.depth)
const target: Target =
  protocol === 'nvme'
    ? nvmeof({ portals: [portal], toldPortals: false, subsystem: name, queueDepth })
    : iscsi({ portals: [portal], toldPortals: false, target: name, queueDepth })
const [info] = await target.discover()
if (info === undefined) throw new Error(`nothing at ${portal}`)
const path = await target.connect(info)
const job = {
  depth: queueDepth,
  seconds: Number(values.seconds),
  size: Number(values.size),
  writes: values.writes,
  random: true,
  into: values.into,
}
const result = values.garbage ? { garbage: await garbageOfPath(path, job) } : await loadPath(path, job)
await path.close()
await target.close()
console.log(JSON.stringify(result))
