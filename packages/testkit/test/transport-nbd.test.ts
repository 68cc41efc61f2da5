import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { IoStatus } from '@blockbraid/core'
import { Io, IoFlag, IoOp } from '@blockbraid/core'
import { nbd } from '@blockbraid/transport-nbd'
import { afterAll, describe, expect, it } from 'vitest'
import type { NbdConnectOptions, TransportClient } from '../src/index.ts'
import { connectNbd, createMinimalDevice, deviceSuite, recording, transportSuite } from '../src/index.ts'

const directory = mkdtempSync(join(tmpdir(), 'blockbraid-testkit-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

let count = 0
const socket = (): string => join(directory, `socket${++count}`)

async function connect(node: string, options: NbdConnectOptions = {}): Promise<TransportClient> {
  const client = await connectNbd(node, options)
  return {
    size: client.size,
    read: (offset, length) => client.read(offset, length),
    write: (offset, data, how) => client.write(offset, data, how),
    flush: () => client.flush(),
    trim: (offset, length) => client.trim(offset, length),
    writeZeroes: (offset, length) => client.writeZeroes(offset, length),
    async close() {
      client.destroy()
      await client.ended
    },
  }
}

const has = { flush: true, fua: true, trim: true, writeZeroes: true, resize: true }

describe('transport-nbd on unix sockets', () =>
  transportSuite({ describe, it }, { open: async () => nbd({ socket: socket() }), connect, has }))

describe('transport-nbd on TCP, with simple replies', () =>
  transportSuite(
    { describe, it },
    {
      open: async () => nbd({ host: '127.0.0.1', port: 0 }),
      connect: (node) => connect(node, { replies: 'simple' }),
      has,
    },
  ))

describe('the client as a block device', () => {
  it('passes on every op with its flags', async () => {
    const transport = nbd({ socket: socket() })
    const recorder = recording(createMinimalDevice())
    const { node } = await transport.attach(recorder, { name: 'disk' })
    const client = await connectNbd(node)
    const send = (op: IoOp, flags: number): Promise<IoStatus> =>
      new Promise((resolve) => {
        const length = op === IoOp.Flush ? 0 : 4096
        const buffers = op === IoOp.Write ? [Buffer.alloc(4096)] : []
        const done = (_io: Io, status: IoStatus): void => resolve(status)
        client.submit(Object.assign(new Io(), { op, flags, length, buffers, done }))
      })
    const sent = [
      [IoOp.Flush, 0],
      [IoOp.Write, IoFlag.Fua],
      [IoOp.WriteZeroes, IoFlag.NoUnmap],
      [IoOp.WriteZeroes, IoFlag.Fua],
      [IoOp.Trim, IoFlag.Fua],
      [IoOp.Trim, 0],
    ] as const
    for (const [op, flags] of sent) expect(await send(op, flags)).toBe(0)
    const seen = recorder.log.filter(({ event }) => event === 'submit').map(({ op, flags }) => [op, flags])
    expect(seen).toEqual(sent)
    await client.close()
    await transport.close()
  })
})

describe.each(['simple', 'structured', 'extended'] as const)(
  'transport-nbd and the client with %s replies',
  (replies) =>
    deviceSuite(
      { describe, it },
      {
        async open() {
          const transport = nbd({ socket: socket() })
          const attachment = await transport.attach(createMinimalDevice(), { name: 'disk' })
          const client = await connectNbd(attachment.node, { replies })
          void client.ended.then(() => transport.close())
          return client
        },
        has: { trim: true, writeZeroes: true, fua: true, writeCache: true, extents: replies !== 'simple' },
      },
    ),
)
