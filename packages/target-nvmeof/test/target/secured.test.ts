import { createConnection } from 'node:net'
import { inspect } from 'node:util'
import type { NvmeArrayOfOptions } from '@blockbraid/array-nvmeof'
import type { BlockDevice } from '@blockbraid/core'
import { BlockError, Io, IoOp } from '@blockbraid/core'
import { describe, expect, it } from 'vitest'
import type { NvmeofOptions } from '../../src/index.ts'
import { keyOf, secretText } from '../auth/support/secrets.ts'
import { rig, SUBSYSTEM } from './rig.ts'

const HOST = 'nqn.2026-11.io.blockbraid:host'
const secret = secretText(keyOf(32, 1), 1)
const controllerSecret = secretText(keyOf(48, 2), 2)
const auth: NonNullable<NvmeArrayOfOptions['auth']> = { hosts: { [HOST]: secret }, controllerSecret, onIoQueues: true }
const psk = 'NVMeTLSkey-1:01:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh+KfiaR:'
const otherPsk = 'NVMeTLSkey-1:01:/b9tVz2OXJVISnoFgrPAygyS86XYJWkAapQeULns6PMpM8wv:'

/** Writes and reads through a path. */
async function used(array: Partial<NvmeArrayOfOptions>, initiator: Partial<NvmeofOptions>): Promise<void> {
  const made = await rig({ array, initiator })
  const path = await made.open(0)
  const bytes = Buffer.alloc(65_536, 'secured')
  expect(await run(path, IoOp.Write, 4096, bytes)).toBe(0)
  const back = Buffer.alloc(bytes.length)
  expect(await run(path, IoOp.Read, 4096, back)).toBe(0)
  expect(back.equals(bytes)).toBe(true)
  expect(made.array.violations).toEqual([])
}

/** Runs one I/O; resolves with its status. */
function run(device: BlockDevice, op: IoOp, offset: number, buffer: Buffer): Promise<number> {
  return new Promise((resolve) => {
    const io = new Io()
    Object.assign(io, { op, offset, length: buffer.length, buffers: [buffer] })
    io.done = (_, status) => resolve(status)
    device.submit(io)
  })
}

async function failure(array: Partial<NvmeArrayOfOptions>, initiator: Partial<NvmeofOptions>): Promise<BlockError> {
  const made = await rig({ array, initiator })
  const info = {
    id: `nvme-tcp:${SUBSYSTEM}/${made.array.ports[0]!.address}/ns1`,
    address: made.array.ports[0]!.address,
    volume: 'uuid.x',
  }
  const error = await made.target.connect(info as never).then(
    () => new Error('it went through'),
    (caught: unknown) => caught,
  )
  expect(error).toBeInstanceOf(BlockError)
  const told = inspect(error, { depth: 9, showHidden: true })
  for (const hidden of [secret, controllerSecret, psk]) expect(told).not.toContain(hidden.slice(12, 24))
  return error as BlockError
}

describe('DH-HMAC-CHAP with an array over sockets', () => {
  it.each<[string, Partial<NvmeofOptions['dhchap']>]>([
    ['one way', {}],
    ['both ways', { controllerSecret }],
    ['without an exchange', { controllerSecret, groups: ['null'] }],
    ['with ffdhe8192 and SHA-512', { controllerSecret, groups: ['ffdhe8192'], hashes: ['sha512'] }],
  ])('%s, on the admin queue and two I/O queues', async (_, more) => {
    await used({ auth }, { dhchap: { secret, ...more }, queues: 2 })
  })

  it('without a secret it says what is missing', async () => {
    const error = await failure({ auth }, {})
    expect(error.message).toContain('asks for DH-HMAC-CHAP, and no secret is configured (dhchap)')
    expect(error.code).toBe('DENIED')
  })

  it('with a wrong secret it says so', async () => {
    const error = await failure({ auth }, { dhchap: { secret: secretText(keyOf(32, 9)) } })
    expect([error.code, error.message]).toEqual(['DENIED', expect.stringContaining('the proof is wrong')])
  })

  it('a controller with a wrong secret is not used', async () => {
    const error = await failure({ auth }, { dhchap: { secret, controllerSecret: secretText(keyOf(32, 9)) } })
    expect([error.code, error.message]).toEqual([
      'DENIED',
      expect.stringContaining('does not know dhchap.controllerSecret'),
    ])
  })

  it('a controller that asks for nothing has to prove itself all the same', async () => {
    const error = await failure({}, { dhchap: { secret, controllerSecret } })
    expect(error.message).toContain('Authentication Send failed')
  })

  it.each([
    ['hashes', { hashes: ['sha256'] } as const, { hashes: ['sha512'] } as const, 'none of the hashes'],
    ['groups', { groups: ['null'] } as const, { groups: ['ffdhe4096'] } as const, 'none of the Diffie-Hellman groups'],
  ])('%s that the host does not want are not agreed on', async (_, theirs, ours, words) => {
    const error = await failure({ auth: { ...auth, ...theirs } }, { dhchap: { secret, ...ours } })
    expect(error.message).toContain(words)
  })
})

describe('TLS with an array over sockets', () => {
  it.each<[string, Partial<NvmeofOptions['tls']>, boolean]>([
    ['under an identity of version 0', {}, false],
    ['under an identity of version 1', { identity: 1 }, false],
    ['derived as nvme-cli did it first', { compat: true }, true],
    ['so derived under an identity of version 1', { identity: 1, compat: true }, true],
  ])('%s', async (_, more, compat) => {
    await used({ tls: { psk, compat } }, { tls: { psk, ...more }, queues: 2 })
  })

  it('beside authentication and digests', async () => {
    await used(
      { tls: { psk }, auth },
      { tls: { psk }, dhchap: { secret, controllerSecret }, headerDigest: true, dataDigest: true },
    )
  })

  it('discovery runs over it, too', async () => {
    const made = await rig({ array: { tls: { psk } } })
    const discovering = made.host({ tls: { psk }, subsystem: undefined as never })
    expect((await discovering.discover()).length).toBe(2)
  })

  it('another key is refused, and said to be so', async () => {
    const error = await failure({ tls: { psk } }, { tls: { psk: otherPsk } })
    expect([error.code, error.message]).toEqual(['DENIED', expect.stringContaining('both ends need the same key')])
  })

  it('another way to derive it is another key', async () => {
    expect((await failure({ tls: { psk } }, { tls: { psk, compat: true } })).code).toBe('DENIED')
  })

  it('an array in clear is not spoken to', async () => {
    expect((await failure({ connectTimeout: 300 }, { tls: { psk }, connectTimeout: 1500 })).code).toMatch(
      /DENIED|TIMED_OUT/,
    )
  })

  it('a host in clear is not answered', async () => {
    expect((await failure({ tls: { psk } }, { connectTimeout: 1500 })).code).toMatch(/CONNECT_FAILED|TIMED_OUT/)
  })

  it('whoever connects and says nothing is let go, also when the port goes down', async () => {
    const made = await rig({ array: { tls: { psk } } })
    const port = made.array.ports[0]!
    const socket = createConnection(port.port, port.host).on('error', () => {})
    await new Promise((resolve) => socket.once('connect', resolve))
    while (port.connections === 0) await new Promise((resolve) => setImmediate(resolve))
    const closed = new Promise((resolve) => socket.once('close', resolve))
    socket.resume()
    await port.down()
    await closed
    expect(port.connections).toBe(0)
  })

  it('a path that is lost comes again', async () => {
    const made = await rig({ array: { tls: { psk } }, initiator: { tls: { psk } } })
    const path = await made.open(0)
    const down = new Promise((resolve) => path.events.on('down', resolve))
    made.array.ports[0]!.reset()
    await down
    await path.close()
    const again = await made.open(0)
    expect(await run(again, IoOp.Write, 0, Buffer.alloc(4096, 1))).toBe(0)
  })
})
