// Reads 4 KiB blocks of a logical unit through our initiator, at a depth, and prints what it took as JSON.
//   load.ts PORTAL TARGET LUN --depth N --seconds N [--random] [--into] [--garbage]
// --into gives every read a buffer to fill; without, the path leaves views of what it has received.
// --garbage prints, instead of the speed, the bytes allocated per read by whose code does it.
import { parseArgs } from 'node:util'
import { iscsi } from '@blockbraid/target-iscsi'
import { garbageOfPath, loadPath } from '../path-load.ts'

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    depth: { type: 'string', default: '32' },
    seconds: { type: 'string', default: '3' },
    random: { type: 'boolean', default: false },
    into: { type: 'boolean', default: false },
    garbage: { type: 'boolean', default: false },
  },
})
const [portal = '', targetName = '', lun = ''] = positionals
const { random, into } = values
const depth = Number(values.depth)
const target = iscsi({ portals: [portal], toldPortals: false, target: targetName, queueDepth: depth })
const info = (await target.discover()).find((path) => path.lun === lun)
if (info === undefined) throw new Error(`no LUN ${lun} at ${portal}`)
const path = await target.connect(info)
const job = { depth, seconds: Number(values.seconds), size: 4096, writes: false, random, into }
const result = values.garbage ? { garbage: await garbageOfPath(path, job) } : await loadPath(path, job)
await path.close()
await target.close()
console.log(JSON.stringify(result))
