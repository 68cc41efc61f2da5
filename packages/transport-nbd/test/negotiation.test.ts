import { describe, expect, it } from 'vitest'
import { sparseDevice, TestDevice } from './support/device.ts'
import type { Bench } from './support/link.ts'
import { bench, Link } from './support/link.ts'
import { CLIENT_FLAGS, go, hex, meta, OPT, option, optionReply, request, simple, text32, u32 } from './support/wire.ts'

const GREETING = hex('4e42444d41474943 49484156454f5054 0003')

const ACK = 1
const SERVER = 2
const INFO = 3
const META = 4
const UNSUP = 0x80000001
const INVALID = 0x80000003
const TLS_REQD = 0x80000005
const UNKNOWN = 0x80000006
const SHUTDOWN = 0x80000007
const TOO_BIG = 0x80000009
const EXT_REQD = 0x8000000a

// HAS_FLAGS FLUSH FUA TRIM WRITE_ZEROES MULTI_CONN CACHE FAST_ZERO
const FLAGS = '0d6d'
const EXPORT_64K = hex(`0000 0000000000010000 ${FLAGS}`)
const BLOCK_SIZE = hex('0003 00000200 00001000 02000000')

async function talk(on: Bench, ...chunks: Buffer[]): Promise<{ link: Link; output: Buffer }> {
  const link = new Link(on)
  link.send(...chunks)
  await Link.settle()
  return { link, output: link.output.subarray(GREETING.length) }
}

const expectBytes = (actual: Buffer, ...expected: Buffer[]): void => {
  expect(actual.toString('hex')).toBe(Buffer.concat(expected).toString('hex'))
}

it('refuses structured replies, extended headers and contexts with simpleReplies, and serves simple ones', async () => {
  const on = bench({ a: new TestDevice() }, { simpleReplies: true })
  const { output } = await talk(on, CLIENT_FLAGS, option(OPT.STRUCTURED), option(OPT.EXTENDED), go('a'))
  expectBytes(output.subarray(0, 40), optionReply(OPT.STRUCTURED, UNSUP), optionReply(OPT.EXTENDED, UNSUP))
  // DF belongs to structured replies.
  expect(output.includes(EXPORT_64K)).toBe(true)
})

describe('greeting and client flags', () => {
  it('greets with fixed newstyle and NO_ZEROES', async () => {
    const { link } = await talk(bench({ a: new TestDevice() }))
    expectBytes(link.output, GREETING)
  })

  it('drops a client with unknown flags, and one with a bad option magic', async () => {
    const on = bench({ a: new TestDevice() })
    expect((await talk(on, u32(7))).link.socket.destroyed).toBe(true)
    expect((await talk(on, CLIENT_FLAGS, hex('49484156454f5055 00000003 00000000'))).link.socket.destroyed).toBe(true)
    expect(on.reasons).toEqual(['unknown client flags', 'bad magic number in an option'])
  })
})

describe('EXPORT_NAME', () => {
  const named = option(OPT.EXPORT_NAME, Buffer.from('a'))

  it('answers with size and flags, with zeroes unless they were declined, and enters transmission', async () => {
    const on = bench({ a: new TestDevice() })
    const about = hex(`0000000000010000 ${FLAGS}`)
    const flush = request(3, { cookie: 9 })
    expectBytes((await talk(on, CLIENT_FLAGS, named, flush)).output, about, simple(0, 9))
    expectBytes((await talk(on, u32(1), named, flush)).output, about, Buffer.alloc(124), simple(0, 9))
    expectBytes((await talk(on, u32(0), named, flush)).output, about, Buffer.alloc(124), simple(0, 9))
  })

  it('ends the session for an unknown export, and behind EXTENDED_HEADERS', async () => {
    const on = bench({ a: new TestDevice() })
    const unknown = await talk(on, CLIENT_FLAGS, option(OPT.EXPORT_NAME, Buffer.from('b')))
    expect(unknown.output.length).toBe(0)
    expect(unknown.link.socket.destroyed).toBe(true)
    expect((await talk(on, CLIENT_FLAGS, option(OPT.EXTENDED), named)).link.socket.destroyed).toBe(true)
  })

  it('takes the empty name for the only export, and for none of several', async () => {
    const empty = option(OPT.EXPORT_NAME)
    expect((await talk(bench({ a: new TestDevice() }), CLIENT_FLAGS, empty)).output.length).toBe(10)
    const two = bench({ a: new TestDevice(), b: new TestDevice() })
    expect((await talk(two, CLIENT_FLAGS, empty)).link.socket.destroyed).toBe(true)
  })
})

describe('INFO and GO', () => {
  it('describe the export: size and block sizes always, name and description when asked', async () => {
    const on = bench({ a: new TestDevice() })
    const info = (await talk(on, CLIENT_FLAGS, go('', [3, 1, 2, 77], OPT.INFO))).output
    expectBytes(
      info,
      optionReply(6, INFO, EXPORT_64K),
      optionReply(6, INFO, BLOCK_SIZE),
      optionReply(6, INFO, Buffer.from('\0\x01a')),
      optionReply(6, INFO, Buffer.from('\0\x02about a')),
      optionReply(6, ACK),
    )
    const gone = (await talk(on, CLIENT_FLAGS, go('a'), request(3))).output
    expectBytes(
      gone,
      optionReply(7, INFO, EXPORT_64K),
      optionReply(7, INFO, BLOCK_SIZE),
      optionReply(7, ACK),
      simple(0),
    )
  })

  it('stay in the handshake after an error', async () => {
    const on = bench({ a: new TestDevice() })
    const malformed = option(OPT.GO, Buffer.concat([u32(100), hex('61 0000')]))
    const tooMuch = option(OPT.GO, Buffer.concat([text32('a'), hex('0000 00')]))
    const { output } = await talk(on, CLIENT_FLAGS, go('nope'), malformed, tooMuch, go('a', [], OPT.INFO))
    expectBytes(
      output,
      optionReply(7, UNKNOWN),
      optionReply(7, INVALID),
      optionReply(7, INVALID),
      optionReply(6, INFO, EXPORT_64K),
      optionReply(6, INFO, BLOCK_SIZE),
      optionReply(6, ACK),
    )
  })

  it('show a read-only export of large blocks as it is', async () => {
    const device = new TestDevice(65536, { readOnly: true, blockSize: 4096, preferredBlockSize: 12288 })
    const { output } = await talk(bench({ a: device }), CLIENT_FLAGS, go('a'))
    expectBytes(
      output,
      optionReply(7, INFO, hex('0000 0000000000010000 050f')),
      // 12288 is no power of two, as the protocol wants: rounded up.
      optionReply(7, INFO, hex('0003 00001000 00004000 02000000')),
      optionReply(7, ACK),
    )
  })
})

describe('LIST and ABORT', () => {
  it('lists every export with its description', async () => {
    const on = bench({ a: new TestDevice(), 'b/ü': new TestDevice() })
    expectBytes(
      (await talk(on, CLIENT_FLAGS, option(OPT.LIST), option(OPT.LIST, hex('00')))).output,
      optionReply(3, SERVER, Buffer.concat([text32('a'), Buffer.from('about a')])),
      optionReply(3, SERVER, Buffer.concat([text32('b/ü'), Buffer.from('about b/ü')])),
      optionReply(3, ACK),
      optionReply(3, INVALID),
    )
  })

  it('acknowledges ABORT, even with data, and closes', async () => {
    const { link, output } = await talk(bench({}), CLIENT_FLAGS, option(OPT.ABORT, hex('0102')))
    expectBytes(output, optionReply(2, ACK))
    expect(link.socket.destroyed).toBe(true)
  })
})

it('offers flush and FUA without a write cache too: one that is switched on later is flushed by the client', async () => {
  const device = new TestDevice(65536, { writeCache: false, fua: false })
  const on = bench({ a: device })
  const { output, link } = await talk(on, CLIENT_FLAGS, go('a'))
  expect(output.includes(EXPORT_64K)).toBe(true)
  device.limits = { ...device.limits, writeCache: true }
  const before = link.output.length
  link.send(request(3, { cookie: 9 }))
  await Link.settle()
  expectBytes(link.output.subarray(before), simple(0, 9))
  expect(device.log).toEqual(['2:0+0'])
})

describe('structured replies, extended headers, metadata contexts', () => {
  it('adds DF once structured replies are on, and BLOCK_STATUS_PAYLOAD with extended headers and a context', async () => {
    const on = bench({ a: sparseDevice() })
    const flagsOf = async (...options: Buffer[]): Promise<string> => {
      const { output } = await talk(on, CLIENT_FLAGS, ...options, go('a'))
      // The last three replies are 32, 34 and 20 bytes: the flags end the first.
      return output.subarray(output.length - 56, output.length - 54).toString('hex')
    }
    const select = meta(OPT.SET_META, 'a', ['base:allocation'])
    expect(await flagsOf()).toBe('0d6d')
    expect(await flagsOf(option(OPT.STRUCTURED))).toBe('0ded')
    expect(await flagsOf(option(OPT.EXTENDED))).toBe('0ded')
    expect(await flagsOf(option(OPT.EXTENDED), select)).toBe('1ded')
    expect(await flagsOf(option(OPT.STRUCTURED), select)).toBe('0ded')
    // A selection that fails or selects nothing drops the one before it.
    expect(await flagsOf(option(OPT.EXTENDED), select, meta(OPT.SET_META, 'nope', ['base:allocation']))).toBe('0ded')
    expect(await flagsOf(option(OPT.EXTENDED), select, meta(OPT.SET_META, 'a', []))).toBe('0ded')
  })

  it('lets extended headers win, and refuses data', async () => {
    const { output } = await talk(
      bench({ a: new TestDevice() }),
      CLIENT_FLAGS,
      option(OPT.STRUCTURED, hex('00')),
      option(OPT.EXTENDED, hex('00')),
      option(OPT.STRUCTURED),
      option(OPT.EXTENDED),
      option(OPT.STRUCTURED),
    )
    expectBytes(
      output,
      optionReply(8, INVALID),
      optionReply(11, INVALID),
      optionReply(8, ACK),
      optionReply(11, ACK),
      optionReply(8, EXT_REQD),
    )
  })

  it('lists and selects base:allocation', async () => {
    const context = Buffer.from('base:allocation')
    const { output } = await talk(
      bench({ a: sparseDevice() }),
      CLIENT_FLAGS,
      meta(OPT.LIST_META, 'a', []),
      option(OPT.STRUCTURED),
      meta(OPT.LIST_META, 'a', []),
      meta(OPT.LIST_META, '', ['base:']),
      meta(OPT.LIST_META, 'a', ['qemu:dirty-bitmap:x', 'base:other']),
      meta(OPT.SET_META, 'a', ['base:']),
      meta(OPT.SET_META, 'a', ['x-y:z', 'base:allocation']),
      meta(OPT.SET_META, 'nope', ['base:allocation']),
      option(OPT.SET_META, Buffer.concat([text32('a'), u32(2), text32('base:allocation')])),
    )
    expectBytes(
      output,
      optionReply(9, INVALID),
      optionReply(8, ACK),
      optionReply(9, META, Buffer.concat([u32(0), context])),
      optionReply(9, ACK),
      optionReply(9, META, Buffer.concat([u32(0), context])),
      optionReply(9, ACK),
      optionReply(9, ACK),
      optionReply(10, ACK),
      optionReply(10, META, Buffer.concat([u32(1), context])),
      optionReply(10, ACK),
      optionReply(10, UNKNOWN),
      optionReply(10, INVALID),
    )
  })

  it('has no context where the device does not know its allocation', async () => {
    const { output } = await talk(
      bench({ a: new TestDevice() }),
      CLIENT_FLAGS,
      option(OPT.STRUCTURED),
      meta(OPT.LIST_META, 'a', []),
      meta(OPT.SET_META, 'a', ['base:allocation']),
    )
    expectBytes(output, optionReply(8, ACK), optionReply(9, ACK), optionReply(10, ACK))
  })
})

describe('limits of the handshake', () => {
  it('answers unknown options and options too big, and goes on', async () => {
    const { output } = await talk(
      bench({ a: new TestDevice() }),
      CLIENT_FLAGS,
      option(4242, hex('010203')),
      ...[...option(OPT.LIST_META, Buffer.alloc(8193))].map((byte) => Buffer.of(byte)),
      option(OPT.STARTTLS),
      option(OPT.STRUCTURED),
    )
    expectBytes(output, optionReply(4242, UNSUP), optionReply(9, TOO_BIG), optionReply(5, UNSUP), optionReply(8, ACK))
  })

  it('drops a client that announces more than it may', async () => {
    const on = bench({ a: new TestDevice() })
    await talk(on, CLIENT_FLAGS, Buffer.concat([Buffer.from('IHAVEOPT'), u32(OPT.GO), u32(0xffffffff)]))
    await talk(on, CLIENT_FLAGS, Buffer.concat([Buffer.from('IHAVEOPT'), u32(OPT.EXPORT_NAME), u32(4097)]))
    expect(on.reasons).toEqual(['option with 4294967295 bytes', 'option with 4097 bytes'])
  })

  it('refuses names above 4096 bytes', async () => {
    const on = bench({ a: new TestDevice() })
    expectBytes((await talk(on, CLIENT_FLAGS, go('x'.repeat(4097)))).output, optionReply(7, INVALID))
  })

  it('drops a client after 1024 options', async () => {
    const on = bench({ a: new TestDevice() })
    const { link } = await talk(on, CLIENT_FLAGS, Buffer.concat(Array(1025).fill(option(OPT.LIST))))
    expect(link.socket.destroyed).toBe(true)
    expect(on.reasons).toEqual(['more than 1024 options'])
  })

  it('drops a client whose handshake takes too long, and no other', async () => {
    const on = bench({ a: new TestDevice() })
    const slow = new Link(on)
    slow.send(CLIENT_FLAGS)
    const quick = new Link(on)
    quick.send(CLIENT_FLAGS, go('a'))
    await Link.settle()
    on.host.advance(9_999)
    expect(slow.socket.destroyed).toBe(false)
    on.host.advance(1)
    expect(slow.socket.destroyed).toBe(true)
    expect(quick.socket.destroyed).toBe(false)
    expect(on.reasons).toEqual(['handshake took too long'])
    quick.connection.destroy('')
    expect(on.host.pending()).toBe(0)
  })

  it('does not read a client that does not read', async () => {
    const name = 'n'.repeat(200)
    const on = bench({ [name]: new TestDevice() })
    const link = new Link(on)
    link.socket.stuck = true
    link.send(CLIENT_FLAGS)
    for (let i = 0; i < 1000; i++) link.send(option(OPT.LIST))
    await Link.settle()
    expect(link.socket.isPaused()).toBe(true)
    link.socket.unstick()
    await Link.settle(2000)
    expect(link.output.length).toBe(GREETING.length + 1000 * (20 + 4 + 200 + 206 + 20))
  })
})

describe('where TLS is required', () => {
  it('answers everything but STARTTLS and ABORT with TLS_REQD', async () => {
    const on = bench({ a: new TestDevice() }, { tls: { mode: 'required', options: {} } })
    const { output } = await talk(
      on,
      CLIENT_FLAGS,
      option(OPT.LIST),
      go('a'),
      option(4242),
      option(OPT.STARTTLS, hex('00')),
    )
    expectBytes(
      output,
      optionReply(3, TLS_REQD),
      optionReply(7, TLS_REQD),
      optionReply(4242, TLS_REQD),
      optionReply(5, INVALID),
    )
    const named = await talk(on, CLIENT_FLAGS, option(OPT.EXPORT_NAME, Buffer.from('a')))
    expect(named.link.socket.destroyed).toBe(true)
  })

  it('drops a client that sends plain text behind STARTTLS', async () => {
    const on = bench({ a: new TestDevice() }, { tls: { mode: 'required', options: {} } })
    await talk(on, CLIENT_FLAGS, Buffer.concat([option(OPT.STARTTLS), option(OPT.LIST)]))
    expect(on.reasons).toEqual(['data behind the end of the handshake'])
  })
})

describe('while the server closes', () => {
  it('answers options with ERR_SHUTDOWN', async () => {
    const on = bench({ a: new TestDevice() })
    const closing = { ...on, context: { ...on.context, exports: { ...on.context.exports, closing: true } } }
    const { output } = await talk(closing, CLIENT_FLAGS, option(OPT.LIST), go('a'), option(OPT.ABORT))
    expectBytes(output, optionReply(3, SHUTDOWN), optionReply(7, SHUTDOWN), optionReply(2, ACK))
  })
})
