import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { Connection } from './connection.ts'
import type { ListenAddress, ListenOptions, WireListener } from './listening.ts'

/** Listens by node:net. */
export async function listenByNet(where: ListenAddress, options: ListenOptions): Promise<WireListener> {
  let connections = 0
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    connections++
    socket.on('close', () => connections--)
    socket.setKeepAlive(options.keepAlive > 0, options.keepAlive * 1000)
    options.accept(new Connection({ socket }, options))
  })
  server.maxConnections = options.maxConnections
  server.listen(where)
  await once(server, 'listening')
  // Accepting can fail for want of file descriptors; the listener goes on when there are some again.
  server.on('error', () => {})
  return {
    port: 'path' in where ? 0 : (server.address() as AddressInfo).port,
    get connections() {
      return connections
    },
    close: () => new Promise((resolve) => server.close(() => resolve())),
  }
}
