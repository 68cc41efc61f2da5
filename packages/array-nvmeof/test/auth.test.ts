import { describe, expect, it } from 'vitest'
import { bed } from './beds.ts'
import type { RawHost } from './host.ts'
import { DISCOVERY, HOST } from './host.ts'

const SECRET = 'DHHC-1:00:ia6zGodOr4SEG0Zzaw398rpY0wqipUWj4jWjUh4HWUz6aQ2n:'
const auth = { hosts: { [HOST]: SECRET } }

async function connected(host: RawHost, options = {}): Promise<number> {
  await host.initialize()
  return (await host.connect(options)).result
}

/** Authentication Send, with the data of a message. */
function send(host: RawHost, write: Buffer, secp = 0xe9) {
  return host.command(0x7f, {
    write,
    change: (sqe) => {
      sqe[4] = 0x05
      sqe.set([0, 1, 1, secp], 40)
      sqe.writeUInt32LE(write.length, 44)
    },
  })
}

function receive(host: RawHost, read = 512) {
  return host.command(0x7f, {
    read,
    change: (sqe) => {
      sqe[4] = 0x06
      sqe.set([0, 1, 1, 0xe9], 40)
      sqe.writeUInt32LE(read, 44)
    },
  })
}

describe('a host that has to prove itself', () => {
  it('is told so by Connect, and can do nothing else before', async () => {
    const { dial } = await bed({ auth })
    const host = await dial()
    expect((await connected(host)) >>> 16).toBe(2)
    for (const answer of [await host.setProperty(0x14, 0x0046_0001), await host.identify(1)]) {
      expect([answer.status, answer.dnr]).toEqual([0x191, true])
    }
    // What is no message is told when it is asked for, and the queue ends.
    expect((await send(host, Buffer.alloc(64, 0xff))).status).toBe(0)
    const { data } = await receive(host)
    expect([data[0], data[1]]).toEqual([0x00, 0xf1])
    await host.gone()
  })

  it('is asked for nothing by a discovery controller', async () => {
    const { dial } = await bed({ auth })
    const host = await dial()
    expect((await connected(host, { subsystem: DISCOVERY })) >>> 16).toBe(0)
    await host.enable()
  })

  it('says so by the protocol of authentication alone, and in its turn', async () => {
    const { dial } = await bed({ auth })
    const host = await dial()
    await connected(host)
    expect((await send(host, Buffer.alloc(64), 0xea)).status).toBe(2)
    expect((await receive(host)).status).toBe(0x00c)
  })
})

it('a host that need not prove itself cannot', async () => {
  const { dial } = await bed()
  const host = await dial()
  await connected(host)
  expect(await send(host, Buffer.alloc(64))).toMatchObject({ status: 1, dnr: true })
})
