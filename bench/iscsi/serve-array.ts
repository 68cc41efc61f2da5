// A simulated array with one volume whose reads give the same bytes and whose writes go nowhere. Prints its portal
// and its name, ends with its standard input.

import { createIscsiArray } from '@blockbraid/array-iscsi'
import { filledDevice } from '../filled-device.ts'

const name = 'iqn.2026-11.io.blockbraid:bench'
const array = await createIscsiArray({
  name,
  portals: [{}],
  luns: [{ lun: 0, volume: 'naa.60000000000000000000000000000001', device: filledDevice() }],
})
console.log(`${array.portals[0]?.address} ${name}`)
process.stdin.resume()
process.stdin.on('end', () => process.exit(0))
