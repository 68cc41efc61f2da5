import { execFileSync } from 'node:child_process'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import type { NbdTlsOptions } from '../src/index.ts'
import { createNbdServer } from '../src/index.ts'
import { Client } from './support/client.ts'
import { manualHost } from './support/clock.ts'
import { TestDevice } from './support/device.ts'
import { CLIENT_FLAGS, CMD, go, OPT, option, optionReply, request, simple } from './support/wire.ts'

let folder: string
let cert: string
let key: string
let otherCert: string
let otherKey: string

async function selfSigned(name: string): Promise<[string, string]> {
  const files = [join(folder, `${name}.crt`), join(folder, `${name}.key`)] as const
  const subject = ['-subj', `/CN=${name}`, '-days', '2', '-nodes']
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1']
  execFileSync('openssl', ['req', '-x509', ...curve, ...subject, '-out', files[0], '-keyout', files[1]], {
    stdio: 'ignore',
  })
  return [await readFile(files[0], 'utf8'), await readFile(files[1], 'utf8')]
}

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bb-nbds-'))
  ;[cert, key] = await selfSigned('localhost')
  ;[otherCert, otherKey] = await selfSigned('other')
})
afterAll(() => rm(folder, { recursive: true }))

async function serve(tls: Partial<NbdTlsOptions> = {}, host = manualHost()) {
  const server = await createNbdServer({ port: 0, tls: { cert, key, ...tls } }, host)
  const device = new TestDevice()
  const added = server.add(device, { name: 'a' })
  return { server, device, added, where: { host: '127.0.0.1', port: server.port } }
}

/** STARTTLS, then the same client over TLS. */
async function secure(where: { host: string; port: number }, identity: object = {}): Promise<Client> {
  const plain = await Client.open(where)
  plain.send(CLIENT_FLAGS, option(OPT.STARTTLS))
  expect(await plain.read(20)).toEqual(optionReply(OPT.STARTTLS, 1))
  plain.socket.removeAllListeners('data')
  return new Client(connectTls({ socket: plain.socket, ca: cert, servername: 'localhost', ...identity }))
}

describe('TLS', () => {
  it('carries a session', async () => {
    const { server, device, added, where } = await serve()
    await using _ = server
    expect(added.uri).toBe(`nbds://127.0.0.1:${server.port}/a`)
    const client = await secure(where)
    client.send(option(OPT.STARTTLS), go('a'))
    expect(await client.read(20)).toEqual(optionReply(OPT.STARTTLS, 0x80000003))
    await client.read(86)
    const payload = Buffer.alloc(65536, 'secret')
    client.send(request(CMD.WRITE, { payload }), request(CMD.READ, { cookie: 2, length: 65536 }))
    expect(await client.read(32 + 65536)).toEqual(Buffer.concat([simple(0), simple(0, 2, payload)]))
    expect(device.memory.equals(payload)).toBe(true)
    client.send(request(CMD.DISC))
    await client.closed
    await vi.waitFor(() => expect(server.stats()).toMatchObject({ connections: 0, requests: 0, slabs: 0 }))
  })

  it('forgets what was negotiated in plain text', async () => {
    const { server, where } = await serve({ required: false })
    await using _ = server
    const plain = await Client.open(where)
    plain.send(CLIENT_FLAGS, option(OPT.STRUCTURED), option(OPT.STARTTLS))
    await plain.read(40)
    plain.socket.removeAllListeners('data')
    const client = new Client(connectTls({ socket: plain.socket, ca: cert, servername: 'localhost' }))
    client.send(go('a'), request(CMD.FLUSH))
    const replies = await client.read(86 + 16)
    // DF is only offered with structured replies.
    expect(replies.readUInt16BE(30) & 0x80).toBe(0)
    expect(replies.subarray(86)).toEqual(simple(0))
  })

  it('is left to the client where it is not required', async () => {
    const { server, where } = await serve({ required: false })
    await using _ = server
    const client = await Client.enter(where, 'a')
    client.send(request(CMD.FLUSH))
    expect(await client.read(16)).toEqual(simple(0))
  })

  it('refuses clients without a certificate of the authority where one is required', async () => {
    const { server, where } = await serve({ requireClientCert: true, ca: otherCert })
    await using _ = server
    const known = await secure(where, { cert: otherCert, key: otherKey })
    known.send(option(OPT.STRUCTURED))
    expect(await known.read(20)).toEqual(optionReply(OPT.STRUCTURED, 1))
    for (const identity of [{}, { cert, key }]) {
      const stranger = await secure(where, identity)
      stranger.send(option(OPT.STRUCTURED))
      await expect(stranger.read(20)).rejects.toThrow('closed')
    }
    await vi.waitFor(() => expect(server.stats().connections).toBe(1))
  })

  it('counts its handshake against the time-out, and ends on garbage', async () => {
    const host = manualHost()
    const { server, where } = await serve({}, host)
    await using _ = server
    const silent = await Client.open(where)
    silent.send(CLIENT_FLAGS, option(OPT.STARTTLS))
    await silent.read(20)
    host.advance(10_000)
    await silent.closed
    const babbling = await Client.open(where)
    babbling.send(CLIENT_FLAGS, option(OPT.STARTTLS))
    await babbling.read(20)
    babbling.send(Buffer.alloc(500, 'not a ClientHello'))
    await babbling.closed
    await vi.waitFor(() => expect(server.stats().connections).toBe(0))
  })

  it('names keys that cannot be used', async () => {
    await expect(createNbdServer({ port: 0, tls: { cert, key: 'rubbish' } })).rejects.toThrow(/tls holds no usable/)
  })
})
