import { connectNbd } from '@blockbraid/testkit'
import { expect, it } from 'vitest'
import { memoryUse } from './support/memory.ts'
import type { RawSocket } from './support/raw.ts'
import { dialExport, request } from './support/raw.ts'
import { openServer } from './support/server.ts'
import { succeed } from './support/tools.ts'

const MiB = 2 ** 20
const SIZE = 64 * MiB
const HOSTILE = 300
const [READ, WRITE] = [0, 1]
const piece = Buffer.alloc(MiB, 0x66)

/** Asks for all that a client may ask for, and takes none of it. */
function asks({ socket }: RawSocket): void {
  for (let n = 0; n < 4; n++) socket.write(request(READ, 0, 32 * MiB))
}

/** Announces the longest write, and sends as much of it as the server takes, but for the end. */
async function announces({ socket, closed }: RawSocket): Promise<void> {
  socket.write(request(WRITE, 0, 32 * MiB))
  for (let sent = 0; sent < 31 && socket.writable; sent++) {
    if (!socket.write(piece)) await Promise.race([new Promise((go) => socket.once('drain', go)), closed])
  }
}

it(`${HOSTILE} clients that want all they may have get no more than a server has, and others are served beside them`, async () => {
  await using bed = await openServer({ volumes: [{ size: SIZE }] })
  const uri = bed.uris[0]!
  await using well = await connectNbd(uri)
  await well.write(0, Buffer.alloc(MiB, 1))
  const before = await memoryUse()
  const crowd = await Promise.all(Array.from({ length: HOSTILE }, () => dialExport(uri)))
  for (const [n, raw] of crowd.entries()) {
    if (n % 2 === 0) asks(raw)
    else void announces(raw)
  }
  let highest = 0
  for (let n = 0; n < 100; n++) {
    expect((await well.read(4096 * n, 65536)).length).toBe(65536)
    await well.write(4096 * n, Buffer.alloc(65536, n))
    if (n % 20 === 0) highest = Math.max(highest, (await memoryUse()).live)
  }
  expect(highest - before.live).toBeLessThan(256 + 64)
  expect(await succeed('nbdinfo', ['--size', uri])).toBe(`${SIZE}\n`)
  for (const { socket } of crowd) socket.destroy()
  await expect.poll(() => bed.server.stats().connections, { timeout: 20_000 }).toBe(1)
  // What they left undone holds up nobody.
  await well.write(0, Buffer.alloc(32 * MiB, 2))
  expect((await well.read(31 * MiB, MiB)).every((byte) => byte === 2)).toBe(true)
})
