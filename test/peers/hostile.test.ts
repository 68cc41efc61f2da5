import { randomBytes } from 'node:crypto'
import { Errno } from '@blockbraid/core'
import { connectNbd } from '@blockbraid/testkit'
import { expect, it } from 'vitest'
import { memoryUse } from './support/memory.ts'
import { dial, dialExport, opening, request } from './support/raw.ts'
import type { ServerBed } from './support/server.ts'
import { openServer } from './support/server.ts'
import { run, succeed } from './support/tools.ts'

const MiB = 2 ** 20
const SIZE = 16 * MiB
const [READ, WRITE] = [0, 1]
const patient = { timeout: 20_000 }
const array = { volumes: [{ size: SIZE }] }

/** The server has nothing left of its clients, and serves a program nobody here wrote. */
async function expectServes({ server, uris }: ServerBed): Promise<void> {
  await expect
    .poll(() => {
      const { connections, requests, slabs } = server.stats()
      return { connections, requests, slabs }
    }, patient)
    .toEqual({ connections: 0, requests: 0, slabs: 0 })
  expect(await succeed('nbdinfo', ['--size', uris[0]!])).toBe(`${SIZE}\n`)
}

it('an unknown export is refused by name', async () => {
  await using bed = await openServer(array)
  const { code, stderr } = await run('nbdinfo', [bed.uris[0]!.replace('vol-0', 'vol-7')])
  expect(code).toBe(1)
  expect(stderr).toMatch(/No such file or directory.*vol-7/)
  await expectServes(bed)
})

const flags = Buffer.from([0, 0, 0, 3])
const hugeOption = Buffer.concat([flags, Buffer.from('IHAVEOPT'), Buffer.from([0, 0, 0, 7, 0xff, 0xff, 0xff, 0xff])])
const garbage: readonly [what: string, bytes: Buffer][] = [
  ['random bytes', randomBytes(64 * 1024)],
  ['another protocol', Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')],
  ['flags nobody defined', Buffer.alloc(4, 0xff)],
  ['random bytes behind good flags', Buffer.concat([flags, randomBytes(64 * 1024)])],
  ['an option of 4 GiB', Buffer.concat([hugeOption, Buffer.alloc(1024)])],
  ['a request of no known magic', Buffer.concat([opening('vol-0'), randomBytes(28)])],
]

it.each(garbage)('%s in a handshake end the connection and nothing else', async (_what, bytes) => {
  await using bed = await openServer(array)
  await using other = await connectNbd(bed.uris[0]!)
  const raw = await dial(bed.uris[0]!)
  raw.socket.resume().write(bytes)
  await raw.closed
  await other.write(0, Buffer.alloc(4096, 1), { fua: true })
  await other.close()
  await expectServes(bed)
})

it('who says nothing is sent away', async () => {
  await using bed = await openServer(array, { handshakeTimeout: 200 })
  const silent = await Promise.all(Array.from({ length: 20 }, () => dial(bed.uris[0]!)))
  for (const { socket } of silent) socket.resume()
  await Promise.all(silent.map(({ closed }) => closed))
  await expectServes(bed)
})

it('unaligned and out-of-range requests get the right error, and the connection goes on', async () => {
  await using bed = await openServer(array)
  await using client = await connectNbd(bed.uris[0]!)
  const half = Buffer.alloc(2048)
  const block = Buffer.alloc(4096)
  await expect(client.read(1, 4096)).rejects.toMatchObject({ errno: Errno.EINVAL })
  await expect(client.write(0, half)).rejects.toMatchObject({ errno: Errno.EINVAL })
  await expect(client.trim(2048, 4096)).rejects.toMatchObject({ errno: Errno.EINVAL })
  await expect(client.read(SIZE, 4096)).rejects.toMatchObject({ errno: Errno.EINVAL })
  await expect(client.write(SIZE - 4096, Buffer.alloc(8192))).rejects.toMatchObject({ errno: Errno.ENOSPC })
  await expect(client.writeZeroes(SIZE, 4096)).rejects.toMatchObject({ errno: Errno.ENOSPC })
  await expect(client.write(2 ** 53 - 4096, block)).rejects.toMatchObject({ errno: Errno.ENOSPC })
  await client.write(SIZE - 4096, block)
  await client.close()
  expect(bed.array.volumes[0]!.allocated).toBeLessThanOrEqual(64 * 1024)
  await expectServes(bed)
})

it('a write that announces 4 GiB is not waited for', async () => {
  await using bed = await openServer(array)
  await using other = await connectNbd(bed.uris[0]!)
  const before = await memoryUse()
  const raw = await dialExport(bed.uris[0]!)
  raw.socket.resume().write(request(WRITE, 0, 0xffff_f000))
  const piece = Buffer.alloc(MiB, 0x66)
  for (let sent = 0; sent < 256 && raw.socket.writable; sent++) {
    if (!raw.socket.write(piece)) await Promise.race([new Promise((go) => raw.socket.once('drain', go)), raw.closed])
  }
  const during = await memoryUse()
  expect(during.live - before.live).toBeLessThan(64)
  await other.write(0, Buffer.alloc(4096, 1))
  raw.socket.destroy()
  await raw.closed
  expect(bed.array.peek(0, 4096, SIZE - 4096).every((byte) => byte === 0)).toBe(true)
  await other.close()
  await expectServes(bed)
})

it('a read of 4 GiB is refused, and the connection goes on', async () => {
  await using bed = await openServer(array)
  const raw = await dialExport(bed.uris[0]!)
  raw.socket.write(request(READ, 0, 0xffff_f000, 0, 7))
  const reply = await raw.read(16)
  expect(reply.readUInt32BE(0)).toBe(0x67446698)
  expect([Errno.EINVAL, Errno.EOVERFLOW]).toContain(reply.readUInt32BE(4))
  expect(reply.readBigUInt64BE(8)).toBe(7n)
  raw.socket.write(request(READ, 0, 4096))
  expect((await raw.read(16)).readUInt32BE(4)).toBe(0)
  raw.socket.destroy()
  await expectServes(bed)
})

it('a client that dies in the middle of a write changes nothing', async () => {
  await using bed = await openServer(array)
  await using other = await connectNbd(bed.uris[0]!)
  for (const share of [0, 1, 4096, MiB / 2, MiB - 1]) {
    const raw = await dialExport(bed.uris[0]!)
    raw.socket.write(Buffer.concat([request(WRITE, 0, MiB), Buffer.alloc(share, 0x66)]))
    // What was sent has arrived when the other client's request behind it is answered.
    await new Promise((resolve) => raw.socket.write('', resolve))
    await other.flush()
    raw.socket.destroy()
    await raw.closed
  }
  await expect.poll(() => bed.server.stats().connections, patient).toBe(1)
  expect(bed.array.volumes[0]!.allocated).toBe(0)
  await other.write(0, Buffer.alloc(4096, 1))
  await other.close()
  await expectServes(bed)
})

it('a client that asks and does not read its replies is not read either', async () => {
  await using bed = await openServer(array, { maxInflightBytes: 4 * MiB })
  await using other = await connectNbd(bed.uris[0]!)
  await other.write(0, Buffer.alloc(SIZE, 1))
  const before = await memoryUse()
  const raw = await dialExport(bed.uris[0]!)
  const asked = 2000
  for (let n = 0; n < asked; n++) raw.socket.write(request(READ, 0, 16 * 4096))
  await expect.poll(() => bed.server.stats().exports[0]!.readBytes, patient).toBeGreaterThanOrEqual(2 * MiB)
  for (let n = 0; n < 50; n++) await other.read(0, MiB)
  const { exports } = bed.server.stats()
  expect(exports[0]!.readBytes - 50 * MiB).toBeLessThan((asked * 16 * 4096) / 2)
  expect((await memoryUse()).live - before.live).toBeLessThan(48)
  raw.socket.destroy()
  await other.close()
  await expectServes(bed)
})
