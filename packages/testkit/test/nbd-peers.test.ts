import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { Io, IoOp } from '@blockbraid/core'
import { afterEach, describe, expect, it } from 'vitest'
import type { ReplyStyle } from '../src/index.ts'
import { deviceSuite, listNbdExports, pattern, patternFault } from '../src/index.ts'
import { missing, Peer } from './peers.ts'

const noNbdkit = missing('nbdkit')
const noQemu = missing('qemu-nbd')
const noOpenssl = missing('openssl', 'version')

const because = (reason: string): string => (reason === '' ? '' : ` (${reason})`)

const peers: Peer[] = []
const peer = (): Peer => {
  const one = new Peer()
  peers.push(one)
  return one
}
afterEach(async () => {
  for (const one of peers.splice(0)) await one.stop()
})

const MiB = 1024 * 1024

describe.skipIf(noNbdkit !== '')(`NBD client with nbdkit${because(noNbdkit)}`, () => {
  it.each<ReplyStyle>(['simple', 'structured', 'extended'])(
    'reads and writes, asking for %s replies',
    async (replies) => {
      const server = peer()
      server.start('nbdkit', '-f', '-U', server.socket, 'memory', '4M')
      const client = await server.connect(server.uri(), { replies })
      expect(client.size).toBe(4 * MiB)
      const stamp = { seed: 1, offset: MiB, generation: 1 }
      await client.write(MiB, pattern(MiB, stamp))
      await client.flush()
      expect(patternFault(await client.read(MiB, MiB), stamp)).toBeUndefined()
      await client.writeZeroes(MiB, 4096)
      expect((await client.read(MiB, 4096)).every((byte) => byte === 0)).toBe(true)
      await client.trim(MiB, 8192)
      await expect(client.read(4 * MiB, 512)).rejects.toMatchObject({ code: 'IO_FAILED', errno: 22 })
      expect((await client.read(0, 512)).length).toBe(512)
      if (replies !== 'simple') {
        await client.write(2 * MiB, Buffer.alloc(65_536, 1))
        const extents = await client.blockStatus(0, 4 * MiB)
        expect(extents[0]).toMatchObject({ zero: true, hole: true })
      }
      await client.close()
      expect(await client.ended).toBeUndefined()
      await expect(client.read(0, 512)).rejects.toMatchObject({ errno: 108 })
    },
  )

  it('carries errors with their errno', async () => {
    const server = peer()
    server.start(
      'nbdkit',
      '-f',
      '-U',
      server.socket,
      '--filter=error',
      'memory',
      '1M',
      'error-pwrite=ENOSPC',
      'error-pwrite-rate=1',
    )
    const client = await server.connect()
    await expect(client.write(0, Buffer.alloc(512))).rejects.toMatchObject({ errno: 28 })
    await expect(client.read(0, 512)).resolves.toHaveLength(512)
    await client.close()
  })

  it('keeps many Ios going, and ends them when the server dies', async () => {
    const server = peer()
    server.start('nbdkit', '-f', '-U', server.socket, 'memory', '4M')
    const client = await server.connect()
    let [done, failed] = [0, 0]
    const target = 20_000
    await new Promise<void>((resolve) => {
      for (let lane = 0; lane < 32; lane++) {
        const io = new Io()
        io.op = IoOp.Read
        io.offset = lane * 4096
        io.length = 4096
        io.buffers = [Buffer.alloc(4096)]
        io.done = (_io, status) => {
          if (status !== 0) failed++
          if (++done === target) resolve()
          if (done <= target - 32) client.submit(io)
        }
        client.submit(io)
      }
    })
    expect(failed).toBe(0)
    expect(client.inflight).toBe(0)
    await server.stop()
    expect(await client.ended).toMatchObject({ code: 'CONNECT_FAILED' })
    await expect(client.read(0, 512)).rejects.toThrow()
  })

  it('ends a handshake that a silent server lets hang', async () => {
    const server = peer()
    server.start('nbdkit', '-f', '-U', server.socket, '--filter=delay', 'memory', '1M', 'delay-open=60')
    await expect(server.connect(server.uri(), { timeout: 300 })).rejects.toMatchObject({ code: 'TIMED_OUT' })
    const abort = new AbortController()
    const connecting = server.connect(server.uri(), { signal: abort.signal })
    setImmediate(() => abort.abort())
    await expect(connecting).rejects.toMatchObject({ code: 'ABORTED' })
  })
})

describe.skipIf(noNbdkit !== '')(`NBD client with nbdkit, as a block device${because(noNbdkit)}`, () => {
  deviceSuite(
    { describe, it },
    {
      async open() {
        const server = peer()
        server.start('nbdkit', '-f', '-U', server.socket, 'memory', '4M')
        return server.connect()
      },
      has: { trim: true, writeZeroes: true, fua: true, writeCache: true, extents: true },
    },
  )
})

describe.skipIf(noQemu !== '')(`NBD client with qemu-nbd${because(noQemu)}`, () => {
  it('lists exports, and reads their names and descriptions', async () => {
    const server = peer()
    const image = server.file('image', Buffer.alloc(MiB))
    server.start('qemu-nbd', '-t', '-k', server.socket, '-f', 'raw', '-x', 'disk ä', '-D', 'a description', image)
    const client = await server.connect(server.uri(encodeURIComponent('disk ä')))
    expect(client.export).toMatchObject({
      name: 'disk ä',
      description: 'a description',
      replies: 'structured',
      size: MiB,
    })
    expect(client.export.blockSizes?.maximum).toBeGreaterThan(0)
    await client.close()
    expect(await listNbdExports(server.uri())).toEqual([{ name: 'disk ä', description: 'a description' }])
    await expect(server.connect(server.uri('other'))).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })

  it('sees allocation, and writes what the file then holds', async () => {
    const server = peer()
    const image = server.file('image', Buffer.alloc(0))
    execFileSync('truncate', ['-s', '1M', image])
    server.start('qemu-nbd', '-t', '-e', '4', '-k', server.socket, '-f', 'raw', '--discard=unmap', image)
    const client = await server.connect()
    await client.write(65_536, pattern(65_536, { seed: 2, offset: 65_536, generation: 1 }), { fua: true })
    const extents = await client.blockStatus(0, MiB)
    expect(extents.map(({ length, hole }) => [length, hole])).toEqual([
      [65_536, true],
      [65_536, false],
      [MiB - 131_072, true],
    ])
    expect(await client.blockStatus(0, MiB, { one: true })).toHaveLength(1)
    await client.cache(0, 65_536)
    await client.close()
  })

  it('refuses writes to a read-only export', async () => {
    const server = peer()
    server.start('qemu-nbd', '-r', '-t', '-k', server.socket, '-f', 'raw', server.file('image', Buffer.alloc(MiB)))
    const client = await server.connect()
    expect(client.limits.readOnly).toBe(true)
    // qemu-nbd 7.2 says EINVAL, newer ones EPERM; an Io is refused before it is sent.
    await expect(client.write(0, Buffer.alloc(512))).rejects.toMatchObject({ code: 'IO_FAILED' })
    const io = Object.assign(new Io(), { op: IoOp.Write, length: 512, buffers: [Buffer.alloc(512)] })
    const status = await new Promise((resolve) => {
      io.done = (_io, outcome) => resolve(outcome)
      client.submit(io)
    })
    expect(status).toBe(1)
    await client.close()
  })
})

describe.skipIf(noNbdkit + noOpenssl !== '')(`NBD client with TLS${because(noNbdkit || noOpenssl)}`, () => {
  it('speaks TLS, and does not without it or with a wrong certificate', async () => {
    const server = peer()
    const key = join(server.directory, 'server-key.pem')
    const cert = join(server.directory, 'server-cert.pem')
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost']
    execFileSync(
      'openssl',
      [
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:prime256v1',
        '-nodes',
        '-days',
        '2',
        '-keyout',
        key,
        '-out',
        cert,
        ...subject,
      ],
      { stdio: 'ignore' },
    )
    const ca = execFileSync('cat', [cert])
    server.file('ca-cert.pem', ca)
    server.start(
      'nbdkit',
      '-f',
      '-U',
      server.socket,
      '--tls=require',
      `--tls-certificates=${server.directory}`,
      'memory',
      '1M',
    )
    const secure = server.uri('', 'nbds+unix')
    const client = await server.connect(secure, { tls: { ca } })
    const stamp = { seed: 3, offset: 0, generation: 1 }
    await client.write(0, pattern(MiB, stamp))
    expect(patternFault(await client.read(0, MiB), stamp)).toBeUndefined()
    await client.close()
    await expect(server.connect(secure)).rejects.toMatchObject({ code: 'CONNECT_FAILED' })
    await expect(server.connect(server.uri())).rejects.toMatchObject({ code: 'DENIED' })
  })
})
