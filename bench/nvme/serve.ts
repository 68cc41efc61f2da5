// One volume behind two simulated arrays, one of each protocol: reads give the same bytes, writes go nowhere. Prints the
// portal and the name of each, ends with its standard input.
import { createIscsiArray } from '@blockbraid/array-iscsi'
import { createNvmeArray } from '@blockbraid/array-nvmeof'
import { filledDevice } from '../filled-device.ts'

const device = filledDevice()
const nqn = 'nqn.2026-11.io.blockbraid:bench'
const iqn = 'iqn.2026-11.io.blockbraid:bench'
const nvme = await createNvmeArray({
  name: nqn,
  ports: [{}],
  namespaces: [{ nsid: 1, volume: 'uuid.00000000-0000-4000-8000-000000000001', device }],
})
const iscsi = await createIscsiArray({
  name: iqn,
  portals: [{}],
  luns: [{ lun: 0, volume: 'naa.60000000000000000000000000000001', device }],
})
console.log(JSON.stringify({ nvme: [nvme.ports[0]?.address, nqn], iscsi: [iscsi.portals[0]?.address, iqn] }))
process.stdin.resume()
process.stdin.on('end', () => process.exit(0))
