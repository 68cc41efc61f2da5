import { describe, expect, it } from 'vitest'
import { sparseDevice } from './support/device.ts'
import type { Bench } from './support/link.ts'
import { bench, Link } from './support/link.ts'
import { seeded } from './support/random.ts'
import { CLIENT_FLAGS, CMD, extended, FLAG, go, meta, OPT, option, request, u32 } from './support/wire.ts'

/** Where forged requests would write zeroes; no honest one goes there. */
const VICTIM = 49152
/** How they would show in the device's log. */
const FORGERIES = Array.from({ length: 16 }, (_, n) => `4:${VICTIM + 512 * n}+512`)
const PROBE = 0x7072_6f62
const MAX_PAYLOAD = 2 ** 25
const select = meta(OPT.SET_META, 'a', ['base:allocation'])

interface Style {
  readonly options: readonly Buffer[]
  readonly header: typeof request
  readonly extended: boolean
}

const styles: Readonly<Record<string, Style>> = {
  simple: { options: [], header: request, extended: false },
  structured: { options: [option(OPT.STRUCTURED), select], header: request, extended: false },
  extended: { options: [option(OPT.EXTENDED)], header: extended, extended: true },
  'extended with a context': { options: [option(OPT.EXTENDED), select], header: extended, extended: true },
}

/** 512 bytes of requests that write zeroes. */
function forged({ header }: Style): Buffer {
  const headers = Array.from({ length: 16 }, (_, n) => header(CMD.ZEROES, { offset: VICTIM + 512 * n, length: 512 }))
  return Buffer.concat([Buffer.concat(headers), Buffer.alloc(512)]).subarray(0, 512)
}

/** Whether a client sends `length` bytes behind the header. Nobody knows where the flag means nothing. */
function sendsPayload(style: Style, command: number, flags: number): boolean | 'perhaps' {
  if (command === CMD.WRITE) return true
  if ((flags & FLAG.PAYLOAD) === 0) return false
  return style.extended || 'perhaps'
}

interface Reason {
  readonly offset?: number | bigint
  readonly length?: number | bigint
  readonly prepare?: (on: Bench) => void
}

const reasons: Readonly<Record<string, Reason>> = {
  nothing: {},
  'a read-only export': { prepare: (on) => Object.assign(on.exports.get('a')!, { readOnly: true }) },
  'an export that goes': { prepare: (on) => void on.exports.get('a')!.remove() },
  'a device that fails': { prepare: (on) => Object.assign(on.exports.get('a')!.device, { failWith: 5 }) },
  'an offset past the end': { offset: 65536 },
  'an offset above 2 ** 53': { offset: 2n ** 63n },
  'an offset inside a block': { offset: 100 },
  'a length that is no multiple of blocks': { length: 511 },
  'a length of 0': { length: 0 },
  'a length above the largest payload': { length: MAX_PAYLOAD + 512 },
  'a length of 4 GiB': { length: 2n ** 32n - 512n },
  'a length of 2 ** 64': { length: 2n ** 64n - 512n },
}
const commands = { ...CMD, RESIZE: 8, UNKNOWN: 99, LAST: 0xffff }
const flagSets = [0, FLAG.FUA, 0x8000, FLAG.REQ_ONE, 0xffdf]

interface Case {
  readonly name: string
  readonly style: Style
  readonly command: number
  readonly flags: number
  readonly reason: Reason
}

function cases(): Case[] {
  const all: Case[] = []
  for (const [styleName, style] of Object.entries(styles)) {
    for (const [commandName, command] of Object.entries(commands)) {
      for (const flags of flagSets.flatMap((set) => [set, set | FLAG.PAYLOAD])) {
        for (const [reasonName, reason] of Object.entries(reasons)) {
          // A compact header has 32 bits for it.
          if (!style.extended && (reason.length ?? 0) > 0xffffffff) continue
          const name = `${styleName}, ${commandName}, flags ${flags.toString(16)}, refused for ${reasonName}`
          all.push({ name, style, command, flags, reason })
        }
      }
    }
  }
  return all
}

/** What a client sends: the request, its payload where there is one, and a FLUSH behind it. */
function stream({ style, command, flags, reason }: Case): { bytes: Buffer; whole: boolean } {
  const evil = forged(style)
  const { offset = 0, length = evil.length } = reason
  const fields = { cookie: 1, flags, offset, length }
  const sends = sendsPayload(style, command, flags)
  // What is longer than all that the test sends is never complete.
  const whole = !sends || length <= evil.length
  const payload = sends ? evil.subarray(0, Number(whole ? length : evil.length)) : Buffer.alloc(0)
  const bytes = Buffer.concat([style.header(command, fields), payload, style.header(CMD.FLUSH, { cookie: PROBE })])
  return { bytes, whole }
}

/** Sends it in the given pieces to an export on which one request is in flight. */
async function play(one: Case, pieces: readonly Buffer[]): Promise<{ ended: boolean; answered: boolean }> {
  const device = sparseDevice()
  const before = Buffer.from(device.memory)
  const on = bench({ a: device })
  const link = new Link(on)
  link.send(CLIENT_FLAGS, ...one.style.options, go('a'))
  await Link.settle(3)
  device.hold = true
  // Keeps an export that goes from closing the connection.
  link.send(one.style.header(CMD.READ, { cookie: 2, offset: 8192, length: 512 }))
  await Link.settle(3)
  const [kept] = device.held.splice(0)
  device.hold = false
  one.reason.prepare?.(on)
  const seen = link.output.length
  for (const piece of pieces) link.send(piece)
  await Link.settle(4)
  const probe = Buffer.alloc(8)
  probe.writeBigUInt64BE(BigInt(PROBE))
  const found = { ended: link.socket.destroyed, answered: link.output.subarray(seen).includes(probe) }
  kept!.done(kept!, 0)
  await Link.settle(3)
  link.socket.push(null)
  await Link.settle(3)
  const executed = FORGERIES.filter((forgery) => device.log.includes(forgery))
  expect(executed, one.name).toEqual([])
  expect(device.memory.subarray(VICTIM).equals(before.subarray(VICTIM)), one.name).toBe(true)
  expect([on.requests.outstanding, on.slabs.outstanding], one.name).toEqual([0, 0])
  return found
}

/** Either the next request is found where the client put it, or nothing is taken for one any more. */
function expectAgreement(one: Case, whole: boolean, { ended, answered }: { ended: boolean; answered: boolean }): void {
  const { command, style, flags } = one
  if (command === CMD.DISC) expect(answered, one.name).toBe(false)
  else if (sendsPayload(style, command, flags) === 'perhaps' || !whole) {
    expect({ ended, answered }, one.name).toEqual({ ended: true, answered: false })
  } else expect({ ended, answered }, one.name).toEqual({ ended: false, answered: true })
}

describe('client and server agree where a request ends', () => {
  const all = cases()

  it.each(Object.keys(styles))('whatever is refused, and why: %s', async (name) => {
    const own = all.filter(({ style }) => style === styles[name])
    expect(own.length).toBeGreaterThan(1000)
    for (const one of own) {
      const { bytes, whole } = stream(one)
      expectAgreement(one, whole, await play(one, [bytes]))
    }
  })

  it.each(['simple', 'extended with a context'])(
    'cut at every offset: %s',
    async (name) => {
      const refusals = ['nothing', 'a read-only export']
      const own = all.filter(
        ({ style, command, flags, reason }) =>
          style === styles[name] &&
          [CMD.WRITE, CMD.STATUS, commands.UNKNOWN].includes(command) &&
          [0, FLAG.PAYLOAD].includes(flags) &&
          refusals.some((refusal) => reasons[refusal] === reason),
      )
      expect(own.length).toBe(12)
      for (const one of own) {
        const { bytes, whole } = stream(one)
        for (let cut = 1; cut < bytes.length; cut++) {
          expectAgreement(one, whole, await play(one, [bytes.subarray(0, cut), bytes.subarray(cut)]))
        }
      }
    },
    120_000,
  )

  it('in any mix of requests, in any pieces: fuzz', async () => {
    const runs = Number(process.env['NBD_FRAMING'] ?? 500)
    for (let seed = 1; seed <= runs; seed++) {
      const random = seeded(seed)
      const pick = <T>(from: readonly T[]): T => from[Math.floor(random() * from.length)]!
      const style = pick(Object.values(styles))
      const sent: Case[] = []
      const bytes: Buffer[] = []
      while (sent.length < 12) {
        const one = pick(all)
        const { whole, bytes: part } = stream(one)
        // What ends the connection is shown above.
        if (one.style !== style || one.command === CMD.DISC || one.reason.prepare !== undefined || !whole) continue
        if (sendsPayload(style, one.command, one.flags) === 'perhaps') continue
        sent.push(one)
        bytes.push(part.subarray(0, part.length - style.header(CMD.FLUSH).length))
      }
      bytes.push(style.header(CMD.FLUSH, { cookie: PROBE }))
      const last = { ...sent.at(-1)!, name: `seed ${seed}: ${sent.map(({ name }) => name).join('; ')}` }
      expectAgreement(last, true, await play(last, pieces(Buffer.concat(bytes), random)))
    }
  }, 120_000)
})

function pieces(bytes: Buffer, random: () => number): Buffer[] {
  const found: Buffer[] = []
  for (let at = 0; at < bytes.length; ) {
    const end = at + 1 + Math.floor(random() ** 2 * 700)
    found.push(bytes.subarray(at, end))
    at = end
  }
  return found
}

describe('client and server agree where an option ends', () => {
  const FORGED = 0x666f_7267
  const ASKED = 0x6173_6b65
  const evil = Buffer.concat(Array(5000).fill(option(FORGED)))
  const numbers = { ...OPT, PEEK: 4, UNKNOWN: 4242, LAST: 0xffffffff }
  const lengths = [0, 1, 6, 64, 4096, 4097, 8192, 8193, 65536, 65537]
  const before: Readonly<Record<string, readonly Buffer[]>> = {
    nothing: [],
    'structured replies': [option(OPT.STRUCTURED)],
    'extended headers': [option(OPT.EXTENDED)],
    'extended after structured': [option(OPT.STRUCTURED), option(OPT.EXTENDED), option(OPT.STRUCTURED)],
    'an option that failed': [option(OPT.EXTENDED, Buffer.alloc(3)), go('nope'), option(OPT.STARTTLS, Buffer.alloc(9))],
  }
  const servers: Readonly<Record<string, Parameters<typeof bench>[1]>> = {
    plain: {},
    'simple replies only': { simpleReplies: true },
    'TLS required': { tls: { mode: 'required', options: {} } },
  }

  it.each(Object.keys(servers))('with any length of data, in any order: %s', async (server) => {
    for (const [order, options] of Object.entries(before)) {
      for (const [option_, number] of Object.entries(numbers)) {
        for (const length of lengths) {
          const label = `${option_} with ${length} bytes after ${order}`
          const link = new Link(bench({ a: sparseDevice(), b: sparseDevice() }, servers[server]))
          link.send(CLIENT_FLAGS, ...options)
          await Link.settle(3)
          link.send(option(number, evil.subarray(0, length)), option(ASKED))
          await Link.settle(4)
          const number4 = (value: number): Buffer => Buffer.concat([Buffer.from('0003e889045565a9', 'hex'), u32(value)])
          expect(link.output.includes(number4(FORGED)), label).toBe(false)
          const asked = link.output.includes(number4(ASKED))
          const ends =
            number === OPT.EXPORT_NAME ||
            // More than is looked at is skipped, and told to be too big.
            (number === OPT.ABORT && length <= 8192) ||
            length > 65536 ||
            // TLS would begin, and what comes is no TLS.
            (number === OPT.STARTTLS && length === 0 && server === 'TLS required')
          expect({ ended: link.socket.destroyed, asked }, label).toEqual({ ended: ends, asked: !ends })
        }
      }
    }
  })
})
