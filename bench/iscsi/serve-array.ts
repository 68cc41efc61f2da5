// A simulated array with one volume whose reads give the same bytes and whose writes go nowhere. Prints its portal
// and its name, ends with its standard input.

import { createIscsiArray } from '@blockbraid/array-iscsi'
import type { BlockDevice, Io } from '@blockbraid/core'
import { IoOp } from '@blockbraid/core'
import { nullDevice } from '../null-device.ts'

const DEPTH = 1024
const bytes = Buffer.alloc(1 << 20, 0x5a)
const inner = nullDevice(DEPTH)
let due = false

function complete(): void {
  due = false
  inner.complete()
}

const device: BlockDevice = {
  limits: { ...inner.limits, blockSize: 512 },
  submit(io: Io) {
    if (io.op === IoOp.Read) io.buffers = [io.length === bytes.length ? bytes : bytes.subarray(0, io.length)]
    inner.submit(io)
    // All of a turn at once.
    if (due) return
    due = true
    queueMicrotask(complete)
  },
  close: async () => {},
}
const name = 'iqn.2026-11.io.blockbraid:bench'
const array = await createIscsiArray({
  name,
  portals: [{}],
  luns: [{ lun: 0, volume: 'naa.60000000000000000000000000000001', device }],
})
console.log(`${array.portals[0]?.address} ${name}`)
process.stdin.resume()
process.stdin.on('end', () => process.exit(0))
