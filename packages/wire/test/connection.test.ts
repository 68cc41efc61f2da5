import { expect, onTestFinished, test } from 'vitest'
import { Connection } from '../src/index.ts'
import { listen, log, shared } from './support.ts'

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

test('a name with several addresses: the bytes of the one that answers are the ones that are read', async () => {
  const { lookup } = await import('node:dns')
  const { port } = await listen((socket) => void socket.write('0123456789'))
  const dns = (await import('node:dns')).default
  dns.lookup = ((_name: string, options: { all?: boolean }, callback: (...args: unknown[]) => void) => {
    if (options.all === true)
      callback(null, [
        { address: '::1', family: 6 },
        { address: '127.0.0.1', family: 4 },
      ])
    else callback(null, '127.0.0.1', 4)
  }) as unknown as typeof lookup
  onTestFinished(() => {
    dns.lookup = lookup
  })
  const connection = new Connection({ host: 'array.test', port }, shared)
  let read = ''
  connection.sink = {
    bytes: (chunk, start, end) => (read += chunk.toString('latin1', start, end)),
    finished() {},
    closed() {},
  }
  await connection.opened()
  await expect.poll(() => read).toBe('0123456789')
  connection.destroy()
})
