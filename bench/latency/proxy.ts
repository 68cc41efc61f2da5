// A proxy before a TCP server that lets all that the server says wait. Prints its address, ends with its standard input.
//   proxy.ts HOST:PORT MILLISECONDS
import { createChaosProxy } from '@blockbraid/testkit'

const [to = '', added] = process.argv.slice(2)
const { hostname: host, port } = new URL(`tcp://${to}`)
const proxy = await createChaosProxy({ to: { host, port: Number(port) } })
proxy.delay(Number(added), 'down')
console.log(JSON.stringify([proxy.address]))
process.stdin.resume()
process.stdin.on('end', () => process.exit(0))
