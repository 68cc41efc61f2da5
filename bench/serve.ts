// Serves one volume of a simulated array: on one socket `multipath` over four paths and `native` over one,
// on SOCKET.simple `multipath` again, with simple replies only. Prints `ready`, ends with its standard input.
import { openMultipath, type Target, userDevice } from '@blockbraid/core'
import { queueDepth } from '@blockbraid/policy-queue-depth'
import { memory } from '@blockbraid/target-memory'
import { nbd } from '@blockbraid/transport-nbd'

const [socket = '', size = '512MiB'] = process.argv.slice(2)
const target: Target = memory({ volumes: [{ size }], ports: 4 })
const infos = await target.discover()
const [first] = infos
if (first === undefined) throw new Error('the array has no volume')
const multipath = await openMultipath(
  first.volume,
  infos.map((info) => ({ target, info })),
  { selector: queueDepth },
)
const native = await target.connect(first)
const transport = nbd({ socket })
await transport.attach(userDevice(multipath), { name: 'multipath' })
await transport.attach(userDevice(native), { name: 'native' })
await nbd({ socket: `${socket}.simple`, simpleReplies: true }).attach(userDevice(multipath), { name: 'multipath' })
console.log('ready')
process.stdin.resume()
process.stdin.on('end', () => process.exit(0))
