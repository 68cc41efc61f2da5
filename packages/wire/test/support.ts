import type { AddressInfo, Server, Socket } from 'node:net'
import { createServer } from 'node:net'
import { systemHost } from '@blockbraid/core'
import { onTestFinished } from 'vitest'
import type { WireSink } from '../src/index.ts'
import { InputPool, InputWindow, OutboxPool } from '../src/index.ts'

const inputs = new InputPool(4)
export const shared = { clock: systemHost.clock, inputs, window: new InputWindow(inputs), outputs: new OutboxPool(4) }

/** Listens until the test has ended; `accept` gets each socket. */
export async function listen(accept: (socket: Socket) => void): Promise<{ host: string; port: number }> {
  const sockets: Socket[] = []
  const server: Server = createServer((socket) => {
    sockets.push(socket)
    accept(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  })
  return { host: '127.0.0.1', port: (server.address() as AddressInfo).port }
}

/** Says what came, as text. */
export function log(): WireSink & { readonly said: string[] } {
  const said: string[] = []
  return {
    said,
    bytes: (chunk, start, end) => void said.push(chunk.toString('latin1', start, end)),
    finished: () => void said.push('finished'),
    closed: (error) => void said.push(`closed ${(error as { code?: string } | undefined)?.code ?? 'in order'}`),
  }
}
