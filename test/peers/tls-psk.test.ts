// TLS by a pre-shared key with OpenSSL's own programs, as it runs beneath NVMe/TCP.
import type { ChildProcess } from 'node:child_process'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { systemHost } from '@blockbraid/core'
import type { DetachableWire, Wire } from '@blockbraid/wire'
import { acceptTlsWire, InputPool, InputWindow, listenForWires, OutboxPool, openTlsWire } from '@blockbraid/wire'
import { afterEach, expect, it } from 'vitest'
import { openFolder } from './support/bed.ts'
import { makeCertificates } from './support/certificates.ts'

const inputs = new InputPool(2)
const shared = { clock: systemHost.clock, inputs, outputs: new OutboxPool(2) }
const key = Buffer.from(Array.from({ length: 32 }, (_, at) => at))
const identity = 'NVMe0R01 nqn.2014-08.org.nvmexpress:uuid:host nqn.2026-11.io.blockbraid:array'
const suite = ['-tls1_3', '-ciphersuites', 'TLS_AES_128_GCM_SHA256', '-quiet']
const ours = ['-psk_identity', identity, '-psk', key.toString('hex')]

const running: ChildProcess[] = []
afterEach(() => {
  for (const child of running.splice(0)) child.kill()
})

function openssl(...args: string[]): ChildProcess & { stdin: NodeJS.WritableStream; stdout: NodeJS.ReadableStream } {
  const child = spawn('openssl', args, { stdio: ['pipe', 'pipe', 'ignore'] })
  running.push(child)
  return child
}

/** Settles with what came over a wire when it ends with `last`. */
function textOf(wire: Wire, last: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    wire.sink = {
      bytes(chunk, start, end) {
        text += chunk.toString('latin1', start, end)
        if (text.endsWith(last)) resolve(text)
      },
      finished() {},
      closed: (error) => reject(error ?? new Error('closed')),
    }
  })
}

function say(wire: Wire, text: string): void {
  wire.outbox.attach(Buffer.from(text))
  wire.outbox.flush()
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

/** Connects as soon as somebody listens. */
async function connect(port: number, psk: { identity: string; key: Uint8Array }): Promise<Wire> {
  for (;;) {
    try {
      return await openTlsWire({ host: '127.0.0.1', port }, psk, shared)
    } catch (error) {
      if ((error as { code?: string }).code !== 'CONNECT_FAILED') throw error
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
}

it('s_server takes our key, and another one not', async () => {
  const port = await freePort()
  const server = openssl('s_server', '-accept', `127.0.0.1:${port}`, '-nocert', ...suite, ...ours)
  const wire = await connect(port, { identity, key })
  const said = textOf(wire, 'from openssl\n')
  server.stdin.write('from openssl\n')
  expect(await said).toBe('from openssl\n')
  const heard = once(server.stdout, 'data')
  say(wire, 'from us\n')
  expect(String((await heard)[0])).toBe('from us\n')
  wire.end()
  await expect(connect(port, { identity, key: Buffer.alloc(32) })).rejects.toMatchObject({ code: 'DENIED' })
})

it('a certificate that s_server shows is not taken for the key', async () => {
  await using folder = await openFolder()
  const { cert, key: file } = await makeCertificates(folder.at('certificates'))
  await writeFile(folder.at('both.pem'), Buffer.concat([file, cert].map((part) => Buffer.from(part))))
  const port = await freePort()
  openssl('s_server', '-accept', `127.0.0.1:${port}`, '-cert', folder.at('both.pem'), ...suite)
  await expect(connect(port, { identity, key })).rejects.toMatchObject({ code: 'DENIED' })
})

it('s_client is taken with our key, and refused with another one', async () => {
  const accepted: Promise<DetachableWire>[] = []
  const listener = await listenForWires(
    { host: '127.0.0.1', port: 0 },
    {
      ...shared,
      window: new InputWindow(inputs),
      maxConnections: 4,
      keepAlive: 0,
      accept(wire) {
        const secured = acceptTlsWire(wire, (given) => (given === identity ? key : undefined), shared)
        secured.catch(() => {})
        accepted.push(secured)
      },
    },
  )
  const to = ['-connect', `127.0.0.1:${listener.port}`]
  const client = openssl('s_client', ...to, ...suite, ...ours)
  while (accepted.length < 1) await new Promise((resolve) => setTimeout(resolve, 10))
  const wire = await accepted[0]!
  const said = textOf(wire, 'from openssl\n')
  client.stdin.write('from openssl\n')
  expect(await said).toBe('from openssl\n')
  const heard = once(client.stdout, 'data')
  say(wire, 'from us\n')
  expect(String((await heard)[0])).toBe('from us\n')
  wire.end()

  openssl('s_client', ...to, ...suite, '-psk_identity', identity, '-psk', '00'.repeat(32))
  while (accepted.length < 2) await new Promise((resolve) => setTimeout(resolve, 10))
  await expect(accepted[1]).rejects.toMatchObject({ code: 'DENIED' })
  await listener.close()
})
