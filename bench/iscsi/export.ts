// Exports a logical unit over NBD, on a unix socket, as `disk`. Prints `ready`, ends with its standard input.
//   export.ts PORTAL TARGET LUN SOCKET
import { createHostAgent } from '@blockbraid/core'
import { queueDepth } from '@blockbraid/policy-queue-depth'
import { iscsi } from '@blockbraid/target-iscsi'
import { nbd } from '@blockbraid/transport-nbd'

const [portal = '', target = '', lun = '', socket = ''] = process.argv.slice(2)
// Others that serve the same unit beside it are other initiators.
const initiator = `iqn.2026-11.io.blockbraid:bench-${process.pid}`
const source = iscsi({ portals: [portal], toldPortals: false, target, initiator })
const info = (await source.discover()).find((path) => path.lun === lun)
if (info === undefined) throw new Error(`no LUN ${lun} at ${portal}`)
const agent = createHostAgent({ targets: [source] })
await agent.rescan()
await agent.pair({ name: 'disk', device: info.volume, selector: queueDepth, transport: nbd({ socket }) })
console.log('ready')
process.stdin.resume()
process.stdin.on('end', () => process.exit(0))
