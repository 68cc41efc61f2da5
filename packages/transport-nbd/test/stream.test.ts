import { afterAll, describe, expect, it } from 'vitest'
import { sparseDevice } from './support/device.ts'
import { bench, Link } from './support/link.ts'
import { seeded } from './support/random.ts'
import { CLIENT_FLAGS, CMD, extended, FLAG, go, meta, OPT, option, request, u32, u64 } from './support/wire.ts'

const payload = Buffer.alloc(512, 'some payload that must arrive whole')
const enter = [CLIENT_FLAGS, option(OPT.LIST), go('a', [3], OPT.INFO), option(OPT.EXPORT_NAME, Buffer.from('a'))]
const select = meta(OPT.SET_META, 'a', ['base:allocation'])

/**
 * Sessions of a client. Requests that the device answers, in their order, come in others than those that
 * the server answers itself, at once: so a cut does not change the order of replies.
 */
const sessions: Record<string, Buffer> = {
  simple: Buffer.concat([
    ...enter,
    request(CMD.WRITE, { cookie: 1, offset: 512, payload }),
    request(CMD.READ, { cookie: 2, offset: 0, length: 1536 }),
    request(CMD.WRITE, { cookie: 3, offset: 3, payload }),
    request(CMD.FLUSH, { cookie: 4 }),
    request(CMD.ZEROES, { cookie: 5, length: 512 }),
    request(CMD.TRIM, { cookie: 6, length: 512 }),
    request(CMD.DISC),
  ]),
  refused: Buffer.concat([
    ...enter,
    request(CMD.READ, { cookie: 7, length: 0xffffffff }),
    request(CMD.CACHE, { cookie: 8, length: 512 }),
    request(CMD.WRITE, { cookie: 9, flags: FLAG.DF, payload: payload.subarray(0, 40) }),
    request(99, { cookie: 10 }),
    request(CMD.STATUS, { cookie: 11, length: 512 }),
  ]),
  structured: Buffer.concat([
    CLIENT_FLAGS,
    option(OPT.STRUCTURED),
    select,
    go('a', [0, 1, 2, 3]),
    request(CMD.WRITE, { cookie: 1, flags: FLAG.FUA, offset: 512, payload }),
    request(CMD.READ, { cookie: 2, flags: FLAG.DF, length: 2048 }),
    request(CMD.READ, { cookie: 4, offset: 1, length: 512 }),
    request(CMD.STATUS, { cookie: 3, length: 65536 }),
  ]),
  extended: Buffer.concat([
    CLIENT_FLAGS,
    option(OPT.EXTENDED),
    select,
    go('a'),
    extended(CMD.WRITE, { cookie: 1, flags: FLAG.PAYLOAD, offset: 512, payload }),
    extended(CMD.READ, { cookie: 2, offset: 512, length: 512 }),
    extended(CMD.ZEROES, { cookie: 5, length: 512 }),
    extended(CMD.STATUS, { cookie: 3, flags: FLAG.PAYLOAD, payload: Buffer.concat([u64(65536), u32(1)]) }),
  ]),
  'extended, refused': Buffer.concat([
    CLIENT_FLAGS,
    option(OPT.EXTENDED),
    go('a'),
    extended(CMD.FLUSH, { cookie: 4, flags: FLAG.PAYLOAD, payload: Buffer.alloc(100) }),
    extended(CMD.READ, { cookie: 5, offset: 2n ** 60n, length: 512 }),
  ]),
}

describe('a session cut at every offset', () => {
  for (const [name, bytes] of Object.entries(sessions)) {
    it(`gives the same replies: ${name}`, async () => {
      const run = async (...chunks: Buffer[]): Promise<string> => {
        const device = sparseDevice()
        const link = new Link(bench({ a: device }))
        for (const one of chunks) link.send(one)
        await Link.settle(4)
        if (!name.includes('refused')) expect(device.memory.subarray(512, 1024).equals(payload)).toBe(true)
        return link.output.toString('hex')
      }
      const whole = await run(bytes)
      for (let cut = 1; cut < bytes.length; cut++) {
        expect(await run(bytes.subarray(0, cut), bytes.subarray(cut)), `cut at ${cut}`).toBe(whole)
      }
      expect(await run(...[...bytes].map((byte) => Buffer.of(byte))), 'single bytes').toBe(whole)
    })
  }
})

/** One session, damaged: bytes changed, removed, repeated; and cut into random chunks. */
function damaged(random: () => number): Buffer[] {
  const all = Object.values(sessions)
  let bytes = Buffer.from(all[Math.floor(random() * all.length)]!)
  const damage = Math.floor(random() * 6)
  for (let i = 0; i < damage; i++) {
    const at = Math.floor(random() * bytes.length)
    const size = Math.floor(random() * 24)
    const kind = random()
    if (kind < 0.6) bytes[at] = Math.floor(random() * 256)
    else if (kind < 0.8) bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + size)])
    else bytes = Buffer.concat([bytes.subarray(0, at + size), bytes.subarray(at)])
  }
  const chunks: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    const end = at + 1 + Math.floor(random() ** 2 * 800)
    chunks.push(bytes.subarray(at, end))
    at = end
  }
  return chunks
}

describe('damaged streams', () => {
  // NBD_FUZZ sets how many, NBD_FUZZ_SEED the first seed.
  const streams = Number(process.env['NBD_FUZZ'] ?? 100_000)
  const first = Number(process.env['NBD_FUZZ_SEED'] ?? 1)
  const trouble: unknown[] = []
  const onTrouble = (error: unknown): void => {
    trouble.push(error)
  }
  process.on('uncaughtException', onTrouble)
  process.on('unhandledRejection', onTrouble)
  afterAll(() => {
    process.off('uncaughtException', onTrouble)
    process.off('unhandledRejection', onTrouble)
  })

  it(`end in replies or in a closed connection, ${streams} of them`, async () => {
    const on = bench({ a: sparseDevice() })
    for (let seed = first; seed < first + streams; ) {
      const links: Link[] = []
      const label = `seeds from ${seed}`
      for (let i = 0; i < 50 && seed < first + streams; i++, seed++) {
        const link = new Link(on)
        links.push(link)
        link.send(...damaged(seeded(seed)))
      }
      await Link.settle(4)
      for (const link of links) link.socket.push(null)
      await Link.settle(4)
      // Half-received requests of clients that are gone are all given back.
      expect(on.requests.outstanding, label).toBe(0)
      expect(on.slabs.outstanding, label).toBe(0)
      expect(on.host.pending(), label).toBe(0)
      expect(on.exports.get('a')!.users.size, label).toBe(0)
      expect(on.exports.get('a')!.inflight, label).toBe(0)
      expect(trouble, label).toEqual([])
      for (const link of links) expect(link.socket.destroyed, label).toBe(true)
    }
    expect(on.reasons.length).toBe(streams)
  }, 600_000)
})
