import type { AddressInfo, Server, Socket } from 'node:net'
import { createServer } from 'node:net'
import { systemHost } from '@blockbraid/core'
import { expect, onTestFinished, test } from 'vitest'
import type { WireSink } from '../src/index.ts'
import { Connection, InputPool, OutboxPool } from '../src/index.ts'

const shared = { clock: systemHost.clock, inputs: new InputPool(4), outputs: new OutboxPool(4) }

/** Listens until the test has ended; `accept` gets each socket. */
async function listen(accept: (socket: Socket) => void): Promise<{ host: string; port: number }> {
  const server: Server = createServer({ allowHalfOpen: true }, accept)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => void server.close())
  return { host: '127.0.0.1', port: (server.address() as AddressInfo).port }
}

/** Says what came, as text. */
function log(): WireSink & { readonly said: string[] } {
  const said: string[] = []
  return {
    said,
    bytes: (chunk, start, end) => void said.push(chunk.toString('latin1', start, end)),
    finished: () => void said.push('finished'),
    closed: (error) => void said.push(`closed ${(error as { code?: string } | undefined)?.code ?? 'in order'}`),
  }
}

function say(wire: Connection, text: string): void {
  const at = wire.outbox.reserve(text.length)
  wire.outbox.bytes.write(text, at, 'latin1')
}

test('what one end says the other one hears, and FIN comes behind it', async () => {
  const server = log()
  const there = await listen((socket) => {
    const wire = new Connection({ socket }, shared)
    wire.sink = {
      ...server,
      finished() {
        server.finished()
        wire.end()
      },
    }
  })
  const wire = new Connection(there, shared)
  const client = log()
  wire.sink = client
  await wire.opened()
  say(wire, 'hello')
  wire.end()
  await expect.poll(() => server.said).toEqual(['hello', 'finished', 'closed in order'])
})
