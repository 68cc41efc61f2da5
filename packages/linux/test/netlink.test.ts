import { expect, it } from 'vitest'
import { encodeAttributes } from '../src/attributes.ts'
import {
  type GenericNetlink,
  LinuxError,
  nested,
  openGenericNetlink,
  parseAttributes,
  text,
  u8,
  u32,
  u64,
} from '../src/index.ts'
import { encodeRequest, readAnswer } from '../src/netlink-messages.ts'

const CTRL_CMD_GETFAMILY = 3
const CTRL_ATTR_FAMILY_NAME = 2

it('encodes attributes as the kernel has them', () => {
  expect(encodeAttributes([u8(1, 0xab)]).toString('hex')).toBe('05000100ab000000')
  expect(encodeAttributes([u32(2, 0x01020304)]).toString('hex')).toBe('0800020004030201')
  expect(encodeAttributes([u64(3, 0x1_0000_0002)]).toString('hex')).toBe('0c0003000200000001000000')
  expect(encodeAttributes([text(4, 'nbd')]).toString('hex')).toBe('080004006e626400')
  expect(encodeAttributes([nested(5, [u8(1, 1), u8(1, 2)])]).toString('hex')).toBe(
    '1400058005000100010000000500010002000000',
  )
  expect(encodeAttributes([{ type: 6, value: new Uint8Array() }]).toString('hex')).toBe('04000600')
})

it('refuses what does not fit', () => {
  expect(() => u64(1, -1)).toThrow(/^attribute 1 is -1, must be/)
  expect(() => u64(1, 2 ** 53)).toThrow(TypeError)
  expect(() => u32(1, 2 ** 32)).toThrow(/^attribute 1 is 4294967296, must be/)
  expect(() => u8(1, 256)).toThrow(/^attribute 1 is 256, must be/)
  expect(() => encodeAttributes([{ type: 1, value: new Uint8Array(65532) }])).toThrow(/has 65532 bytes, at most 65531/)
  expect(encodeAttributes([{ type: 1, value: new Uint8Array(65531) }]).length).toBe(65536)
})

it('parses what it encodes, cut at every offset', () => {
  const bytes = encodeAttributes([u8(1, 7), nested(2, [u32(1, 8), text(3, 'name')]), u64(4, 2 ** 53 - 1)])
  const [first, second, third] = parseAttributes(bytes)
  expect(first).toEqual({ type: 1, value: Buffer.of(7) })
  expect(parseAttributes(second!.value).map(({ type }) => type)).toEqual([1, 3])
  expect(second!.type).toBe(2)
  expect(third!.value.readBigUInt64LE()).toBe(2n ** 53n - 1n)
  for (let length = 0; length < bytes.length; length++) {
    const parsed = parseAttributes(bytes.subarray(0, length))
    expect(parsed).toEqual([first, second, third].slice(0, parsed.length))
    expect(parsed.length).toBeLessThan(3)
  }
})

it('parses garbage without end or exception', () => {
  for (let seed = 1; seed < 2000; seed++) {
    const bytes = Buffer.from(Array.from({ length: seed % 67 }, (_, i) => ((seed * 2654435761 * (i + 1)) >>> 7) & 0x1f))
    expect(parseAttributes(bytes).length).toBeLessThan(17)
    try {
      readAnswer(bytes)
    } catch (error) {
      expect(error, `seed ${seed}`).toBeInstanceOf(LinuxError)
    }
  }
})

it('encodes a request with its headers', () => {
  expect(encodeRequest(0x1b, 3, 1, 0x01020304, [u8(1, 2)]).toString('hex')).toBe(
    '1c0000001b00050004030201000000000301000005000100' + '02000000',
  )
})

it('reads answers and the words of an extended acknowledgement', () => {
  const reply = Buffer.from('180000001000000001000000000000000301000004000500', 'hex')
  const done = Buffer.from('2400000002000001010000000000000000000000' + '1c0000001b00050001000000' + '00000000', 'hex')
  expect(readAnswer(Buffer.concat([reply, done]))).toEqual([
    { command: 3, attributes: [{ type: 5, value: Buffer.of() }] },
  ])

  const words = encodeAttributes([text(1, 'no such index')])
  const capped = Buffer.concat([error(-22, 0x300, 16, words)])
  expect(() => readAnswer(capped)).toThrow('netlink: EINVAL, no such index')
  const whole = error(-22, 0x200, 16 + 12, Buffer.concat([Buffer.alloc(12), words]))
  expect(() => readAnswer(whole)).toThrow('netlink: EINVAL, no such index')
  expect(() => readAnswer(error(-1, 0x100, 16, Buffer.of()))).toThrow('netlink: EPERM, operation not permitted')
})

function error(errno: number, flags: number, requestLength: number, rest: Uint8Array): Buffer {
  const header = Buffer.alloc(36)
  header.writeUInt32LE(36 + rest.length, 0)
  header.writeUInt16LE(2, 4)
  header.writeUInt16LE(flags, 6)
  header.writeInt32LE(errno, 16)
  header.writeUInt32LE(requestLength, 20)
  return Buffer.concat([header, rest])
}

async function withController(use: (controller: GenericNetlink) => Promise<void>): Promise<void> {
  const controller = await openGenericNetlink('nlctrl')
  try {
    await use(controller)
  } finally {
    controller.close()
  }
}

it('asks the kernel for a family', () =>
  withController(async (controller) => {
    expect(controller.family).toBe(16)
    const answers = await controller.request(CTRL_CMD_GETFAMILY, [text(CTRL_ATTR_FAMILY_NAME, 'nlctrl')], {
      version: 2,
    })
    expect(answers).toHaveLength(1)
    expect(answers[0]!.command).toBe(1)
    const attribute = (type: number): Buffer => answers[0]!.attributes.find((found) => found.type === type)!.value
    expect(attribute(1).readUInt16LE()).toBe(16)
    expect(attribute(2).toString()).toBe('nlctrl\0')
    // The list of operations is nested twice.
    const operations = parseAttributes(attribute(6)).map(({ value }) => parseAttributes(value))
    expect(operations.some((operation) => operation[0]!.value.readUInt32LE() === CTRL_CMD_GETFAMILY)).toBe(true)
  }))

it('answers many requests, each its own', () =>
  withController(async (controller) => {
    const names = Array.from({ length: 50 }, (_, i) => (i % 2 === 0 ? 'nlctrl' : 'nothing-such'))
    const results = await Promise.allSettled(
      names.map((name) => controller.request(CTRL_CMD_GETFAMILY, [text(CTRL_ATTR_FAMILY_NAME, name)])),
    )
    for (const [i, result] of results.entries()) {
      expect(result.status === 'fulfilled' ? result.value.length : result.reason.code).toBe(i % 2 === 0 ? 1 : 'ENOENT')
    }
  }))

it("gives the kernel's errors", () =>
  withController(async (controller) => {
    await expect(controller.request(200, [])).rejects.toMatchObject({ code: 'EOPNOTSUPP', syscall: 'netlink' })
    // A number where a string belongs: the kernel says why.
    await expect(controller.request(CTRL_CMD_GETFAMILY, [u8(1, 1)])).rejects.toThrow(
      'netlink: ERANGE, Attribute failed policy validation',
    )
  }))

it('says which family is missing', async () => {
  await expect(openGenericNetlink('blockbraid')).rejects.toThrow(
    'netlink: ENOENT, this kernel has no generic netlink family blockbraid; is the module loaded?',
  )
})

it('rejects what waits when it is closed, and all after', async () => {
  const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length
  const controller = await openGenericNetlink('nlctrl')
  const before = timers()
  const requests = Array.from({ length: 5 }, () => controller.request(200, []))
  controller.close()
  controller.close()
  const codes = (await Promise.allSettled(requests)).map((result) => result.status === 'rejected' && result.reason.code)
  expect(codes).toEqual(['EOPNOTSUPP', 'ECANCELED', 'ECANCELED', 'ECANCELED', 'ECANCELED'])
  await expect(controller.request(200, [])).rejects.toMatchObject({ code: 'ECANCELED' })
  expect(timers()).toBe(before)
})

it('gives up waiting in time, for what runs and for what waits', () =>
  withController(async (controller) => {
    const fast = Array.from({ length: 300 }, () => controller.request(200, [], { timeout: 1 }))
    const codes = (await Promise.allSettled(fast)).map((result) => result.status === 'rejected' && result.reason.code)
    expect(codes).toContain('ETIMEDOUT')
    expect(codes.filter((code) => code !== 'ETIMEDOUT' && code !== 'EOPNOTSUPP')).toEqual([])
    await expect(controller.request(200, [])).rejects.toMatchObject({ code: 'EOPNOTSUPP' })
  }))

it('goes on after a message that is too large', () =>
  withController(async (controller) => {
    const large = Array.from({ length: 70 }, () => ({ type: 1, value: new Uint8Array(65_000) }))
    await expect(controller.request(200, large)).rejects.toThrow(TypeError)
    await expect(controller.request(200, [])).rejects.toMatchObject({ code: 'EOPNOTSUPP' })
  }))

it('names wrong arguments', () =>
  withController(async (controller) => {
    await expect(openGenericNetlink('')).rejects.toThrow(/^family is '', must be/)
    await expect(openGenericNetlink('sixteen-letters!')).rejects.toThrow(TypeError)
    await expect(controller.request(256, [])).rejects.toThrow(/^command is 256, must be/)
    await expect(controller.request(1, [], { version: -1 })).rejects.toThrow(/^version is -1, must be/)
    await expect(controller.request(1, [], { timeout: 0 })).rejects.toThrow(/^timeout is 0, must be/)
  }))
