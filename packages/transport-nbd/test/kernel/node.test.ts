import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Attachment, Transport } from '@blockbraid/core'
import { BlockError, Errno, IoFlag, systemHost } from '@blockbraid/core'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import type { NbdAttachment } from '../../src/attachment.ts'
import type { NbdTransportOptions } from '../../src/transport.ts'
import { nbdTransport } from '../../src/transport.ts'
import { RecordingDevice, TestDevice } from '../support/device.ts'
import type { FakeNode } from '../support/fake-kernel.ts'
import { FakeKernel } from '../support/fake-kernel.ts'
import { CMD, request, simple } from '../support/wire.ts'

const identity = { name: 'disk', volume: 'naa.1' }
const BACKEND = 'blockbraid/disk@naa.1'

let folder: string
let kernel: FakeKernel
let device: TestDevice
const transports: Transport[] = []

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'nbd-kernel-'))
  vi.stubEnv('BLOCKBRAID_RUN', folder)
  kernel = new FakeKernel()
  device = new TestDevice()
})

afterEach(async () => {
  device.hold = false
  device.release()
  for (const transport of transports.splice(0)) await transport.close({ mode: 'force' })
  vi.unstubAllEnvs()
  rmSync(folder, { recursive: true })
})

function transportOf(options: NbdTransportOptions = {}): ReturnType<typeof nbdTransport> {
  const transport = nbdTransport({ kernel: true, ...options }, systemHost, kernel)
  transports.push(transport)
  return transport
}

async function attached(
  options: NbdTransportOptions = {},
): Promise<{ transport: Transport; attachment: NbdAttachment; node: FakeNode }> {
  const transport = transportOf(options)
  const attachment = await transport.attach(device, identity)
  return { transport, attachment, node: kernel.made.get(Number(attachment.node.slice('/dev/nbd'.length)))! }
}

const records = (): string[] => readdirSync(join(folder, 'nodes'))

async function read(node: FakeNode, client = 0): Promise<void> {
  const { [client]: one } = node.clients
  one!.send(request(CMD.READ, { cookie: 7, offset: 512, length: 512 }))
  expect(await one!.read(16 + 512)).toEqual(simple(0, 7, device.memory.subarray(512, 1024)))
}

/** Has another process serve a node, as its record says. */
function recordOf(pid: number): void {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  const started = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]
  const fields = { NAME: 'disk', VOLUME: 'naa.1', PID: pid, STARTED: started }
  const lines = Object.entries(fields).map(([field, value]) => `BLOCKBRAID_${field}=${value}\n`)
  writeFileSync(join(folder, 'nodes', 'nbd0'), lines.join(''))
}

const turns = async (count: number): Promise<void> => {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve))
}

async function lossOf(attachment: Attachment): Promise<string> {
  const [error] = (await once(attachment.events as unknown as EventTarget & NodeJS.EventEmitter, 'lost')) as [Error]
  return error.message
}

const FLUSH = 'flush'

/** Sends a write, a zeroing and a trim, one after the other; what the device saw of it stands in its log, in short. */
async function writes(node: FakeNode): Promise<void> {
  const { clients } = node
  for (const [command, payload] of [
    [CMD.WRITE, Buffer.alloc(512, 7)],
    [CMD.ZEROES, undefined],
    [CMD.TRIM, undefined],
  ] as const) {
    clients[0]!.send(request(command, { length: 512 }), ...(payload === undefined ? [] : [payload]))
    expect(await clients[0]!.read(16)).toEqual(simple(0))
  }
  shorten()
}

/** The device's log in short: `w f` is a write with Fua. */
function shorten(): void {
  const names = ['r', 'w', FLUSH, 't', 'z']
  for (const [index, line] of device.log.entries()) {
    const [, op, flags] = /^(\d):\S+(?: f(\d))?$/.exec(line) ?? []
    if (op === undefined) continue
    device.log[index] = `${names[Number(op)]}${Number(flags ?? 0) & IoFlag.Fua ? ' f' : ''}`
  }
}

describe('a node without a write cache', () => {
  beforeEach(() => {
    device.limits = { ...device.limits, writeCache: false }
  })

  it('gets its writes as they are while the device has none', async () => {
    const { node } = await attached()
    await writes(node)
    expect(device.log).toEqual(['w', 'z', 't'])
  })

  it('is written through from the moment on in which the device has one, and no longer than that', async () => {
    const { node } = await attached({ connections: 2 })
    device.limits = { ...device.limits, writeCache: true }
    await writes(node)
    expect(device.log.splice(0)).toEqual(['w f', 'z f', 't', FLUSH])
    device.limits = { ...device.limits, fua: false }
    await writes(node)
    expect(device.log.splice(0)).toEqual(['w', FLUSH, 'z', FLUSH, 't', FLUSH])
    device.limits = { ...device.limits, writeCache: false }
    await writes(node)
    expect(device.log).toEqual(['w', 'z', 't'])
  })

  it('has a write that is under way when the cache is switched on answered when it is flushed', async () => {
    const { node } = await attached()
    device.hold = true
    node.clients[0]!.send(request(CMD.WRITE, { length: 512 }), Buffer.alloc(512, 7))
    await vi.waitUntil(() => device.held.length === 1)
    device.limits = { ...device.limits, writeCache: true }
    device.release()
    await vi.waitUntil(() => device.held.length === 1)
    shorten()
    expect(device.log).toEqual(['w', FLUSH])
    device.release()
    expect(await node.clients[0]!.read(16)).toEqual(simple(0))
  })
})

describe('a node', () => {
  it('tells the device which of its connections died, once each', async () => {
    const recording = new RecordingDevice()
    device = recording
    const { node } = await attached()
    device.hold = true
    for (let round = 0; round < 2; round++) {
      const [client] = node.clients
      client!.send(request(CMD.WRITE, { cookie: 1, payload: Buffer.alloc(512) }))
      await vi.waitFor(() => expect(device.held.length).toBe(1))
      expect(recording.abandoned.length).toBe(round)
      client!.socket.destroy()
      await vi.waitFor(() => expect(recording.abandoned.length).toBe(round + 1))
      device.release()
      await vi.waitFor(() => expect(node.clients[0]).not.toBe(client))
    }
    expect(recording.abandoned).toEqual(recording.sources)
    expect(recording.abandoned[0]).not.toBe(recording.abandoned[1])
  })

  it('is made, tuned, recorded and guarded, and serves', async () => {
    const { attachment, node } = await attached({ partitions: true })
    expect(attachment.node).toBe('/dev/nbd0')
    expect(attachment.tookOver).toBe(false)
    expect(node.spec).toMatchObject({
      size: 65536,
      blockSize: 512,
      backend: BACKEND,
      requestTimeout: 0,
      takeOverTimeout: 60_000,
    })
    expect(kernel.log).toEqual(['connect 0', 'write 0 queue/io_timeout 5000', 'settle 0', 'rescan 0'])
    expect(records()).toEqual(['nbd0'])
    expect(kernel.guarded).toEqual([`0 ${BACKEND}`])
    await read(node)
    expect(attachment.stats()).toEqual({
      name: 'disk',
      connections: 1,
      inflight: 0,
      requests: 1,
      errors: 0,
      readBytes: 512,
      writtenBytes: 0,
    })
  })

  it('is told the largest transfer of a small device, and keeps the kernel time-out where requests have one', async () => {
    device.limits = { ...device.limits, maxTransfer: 65536 }
    await attached({ requestTimeout: 2000 })
    expect(kernel.log).toEqual(['connect 0', 'write 0 queue/max_sectors_kb 64', 'settle 0'])
  })

  it('takes WRITE_ZEROES and TRIM whether or not it was told of them', async () => {
    device.limits = { ...device.limits, trim: false, writeZeroes: false }
    const { node } = await attached()
    for (const command of [CMD.TRIM, CMD.ZEROES]) {
      node.clients[0]!.send(request(command, { length: 512 }))
      expect(await node.clients[0]!.read(16)).toEqual(simple(0))
    }
  })

  it('goes, with everything that belongs to it', async () => {
    const { attachment } = await attached()
    await attachment.detach()
    await attachment.detach()
    expect(kernel.log.slice(-2)).toEqual(['disconnect 0', 'write 0 queue/io_timeout 30000'])
    expect(records()).toEqual([])
    expect(kernel.guarded).toEqual([])
    await expect(attachment.resize(512)).rejects.toMatchObject({ code: 'CLOSED' })
  })

  it('stays where it is in use, and goes once it is not', async () => {
    const { attachment, node, transport } = await attached()
    node.users = ['mounted at /mnt', 'swap']
    const refusal = { code: 'IN_USE', message: '/dev/nbd0 is in use: mounted at /mnt, swap' }
    await expect(attachment.detach()).rejects.toMatchObject(refusal)
    await expect(transport.close()).rejects.toMatchObject(refusal)
    await read(node)
    node.users = []
    kernel.claimed = Promise.reject(new BlockError('IN_USE', 'claimed'))
    await expect(attachment.detach()).rejects.toMatchObject({ code: 'IN_USE', message: 'claimed' })
    kernel.claimed = Promise.resolve({ close: async () => {} })
    await transport.close()
    expect(kernel.made.get(0)!.connected).toBe(false)
  })

  it('stays where nothing tells whether it is in use', async () => {
    const { attachment, node } = await attached()
    vi.spyOn(kernel, 'users').mockRejectedValueOnce(new Error('EMFILE: too many open files'))
    await expect(attachment.detach()).rejects.toMatchObject({ code: 'IN_USE' })
    kernel.claimed = Promise.reject(new BlockError('IO_FAILED', 'opening /dev/nbd0: EMFILE'))
    const message = 'whether /dev/nbd0 is in use cannot be told: opening /dev/nbd0: EMFILE'
    await expect(attachment.detach()).rejects.toMatchObject({ code: 'IN_USE', message })
    await read(node)
  })

  it('goes by force while a clean end waits to open it', async () => {
    const { attachment } = await attached()
    const close = vi.fn()
    const claim = Promise.withResolvers<{ close(): Promise<void> }>()
    kernel.claimed = claim.promise
    const clean = attachment.detach()
    await new Promise((resolve) => setImmediate(resolve))
    await attachment.detach({ mode: 'force' })
    await clean
    expect(kernel.made.get(0)!.connected).toBe(false)
    claim.resolve({ close })
    await vi.waitFor(() => expect(close).toHaveBeenCalledOnce())
  })

  it('by force waits for what the device has in flight, unless the signal fires', async () => {
    const { attachment, node } = await attached()
    device.hold = true
    node.clients[0]!.send(request(CMD.READ, { length: 512 }))
    await vi.waitFor(() => expect(device.held).toHaveLength(1))
    const hurry = new AbortController()
    let ended = false
    const end = attachment.detach({ mode: 'force' }).then(() => {
      ended = true
    })
    await vi.waitFor(() => expect(kernel.log).toContain('disconnect 0'))
    for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve))
    expect(ended).toBe(false)
    hurry.abort()
    await attachment.detach({ signal: hurry.signal })
    await end
  })

  it('leaves the record of the next node that has its number alone', async () => {
    const { attachment, node, transport } = await attached()
    device.hold = true
    node.clients[0]!.send(request(CMD.READ, { length: 512 }))
    await vi.waitFor(() => expect(device.held).toHaveLength(1))
    const end = attachment.detach({ mode: 'force' })
    await vi.waitFor(() => expect(kernel.log).toContain('disconnect 0'))
    const other = await transportOf().attach(device, { name: 'other', volume: 'naa.2' })
    expect(other.node).toBe('/dev/nbd0')
    device.release()
    await end
    expect(records()).toEqual(['nbd0'])
    expect(await transport.nodes?.()).toMatchObject([{ name: 'other', served: true }])
  })

  it('is made once where several want it at the same time', async () => {
    const ends = await Promise.allSettled(Array.from({ length: 3 }, () => transportOf().attach(device, identity)))
    expect(ends.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    for (const end of ends) if (end.status === 'rejected') expect(end.reason).toMatchObject({ code: 'IN_USE' })
    expect(kernel.made.size).toBe(1)
    expect(records()).toEqual(['nbd0'])
  })

  it('changes its size', async () => {
    const { attachment, node } = await attached()
    await attachment.resize(1024)
    expect(node.attributes.get('size')).toBe('2')
    await expect(attachment.resize(100)).rejects.toThrow('nbd: size is 100; it must be a multiple of 512 below 2 ** 53')
    vi.spyOn(kernel, 'reconfigure').mockResolvedValueOnce(true)
    await expect(attachment.resize(2048)).rejects.toMatchObject({ code: 'NOT_SUPPORTED' })
  })

  it('follows a device that becomes read-only, and one that is writable again', async () => {
    device.limits = { ...device.limits, readOnly: true }
    const { attachment, node, transport } = await attached()
    expect(node.attributes.get('ro')).toBe('1')
    // Before anybody looks at it.
    expect(kernel.log.indexOf('read-only 0 true')).toBeLessThan(kernel.log.indexOf('settle 0'))
    await attachment.follow!({ ...device.limits, readOnly: false })
    expect(node.attributes.get('ro')).toBe('0')
    await attachment.follow!(device.limits)
    expect(node.attributes.get('ro')).toBe('1')
    // Whoever uses the node next finds it as the driver makes it.
    await transport.close()
    expect(node.attributes.get('ro')).toBe('0')
    await expect(attachment.follow!(device.limits)).rejects.toMatchObject({ code: 'CLOSED' })
  })

  it('says what of its device it cannot follow', async () => {
    device.limits = { ...device.limits, trim: false }
    const { attachment, node } = await attached()
    await attachment.follow!(device.limits)
    await expect(attachment.follow!({ ...device.limits, trim: true })).rejects.toMatchObject({
      code: 'NOT_SUPPORTED',
      message: '/dev/nbd0 offers no discard until it is detached and attached again',
    })
    // One that an earlier version left read-only.
    node.attributes.set('ro', '1')
    vi.spyOn(kernel, 'setReadOnly').mockResolvedValue(false)
    await expect(attachment.follow!(device.limits)).rejects.toMatchObject({
      message: '/dev/nbd0 stays read-only until it is detached and attached again',
    })
  })

  it('that is read-only by option stays so', async () => {
    const { attachment, node } = await attached({ readOnly: true })
    await attachment.follow!({ ...device.limits, readOnly: false })
    expect(node.attributes.get('ro')).toBe('1')
  })

  it('is taken back where something fails after it was made', async () => {
    const { settle } = kernel
    kernel.settle = () => Promise.reject(new Error('no node'))
    const transport = transportOf()
    await expect(transport.attach(device, identity)).rejects.toThrow('no node')
    expect(kernel.log).toEqual([
      'connect 0',
      'write 0 queue/io_timeout 5000',
      'disconnect 0',
      'write 0 queue/io_timeout 30000',
    ])
    expect(records()).toEqual([])
    expect(kernel.guarded).toEqual([])
    kernel.settle = settle
    await transport.attach(device, identity)
  })

  it('says why the kernel refuses large blocks', async () => {
    device.limits = { ...device.limits, blockSize: 8192, preferredBlockSize: 8192 }
    kernel.failConnect = new BlockError('IO_FAILED', 'EINVAL', { errno: Errno.EINVAL })
    await expect(transportOf().attach(device, identity)).rejects.toMatchObject({
      code: 'NOT_SUPPORTED',
      message: expect.stringContaining('blocks of 8192 bytes: before Linux 6.15'),
    })
  })

  it('has its name for itself, and none after close', async () => {
    const { transport } = await attached()
    await expect(transport.attach(device, identity)).rejects.toMatchObject({ code: 'IN_USE' })
    await transport.close()
    await expect(transport.attach(device, identity)).rejects.toMatchObject({ code: 'CLOSED' })
  })
})

describe('a connection that the kernel drops', () => {
  for (const connections of [1, 2]) {
    it(`is replaced, and nothing starts before what it had in flight is done: ${connections}`, async () => {
      const { attachment, node } = await attached({ connections, requestTimeout: 1000 })
      device.hold = true
      const [first] = node.clients
      first!.send(request(CMD.WRITE, { cookie: 1, payload: Buffer.alloc(512, 1) }))
      await vi.waitFor(() => expect(device.held).toHaveLength(1))
      first!.socket.destroy()
      await vi.waitFor(() => expect(node.clients[0]).not.toBe(first))
      for (const client of node.clients) client.send(request(CMD.READ, { cookie: 2, length: 512 }))
      for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve))
      expect(device.log).toEqual(['1:0+512'])
      device.hold = false
      device.release()
      for (const client of node.clients) {
        expect(await client.read(16 + 512)).toEqual(simple(0, 2, Buffer.alloc(512, 1)))
      }
      expect(attachment.stats()).toMatchObject({ connections, inflight: 0 })
    })
  }

  it('holds what the kernel sends again though it is read before the news', async () => {
    const { node } = await attached({ connections: 2, requestTimeout: 1000 })
    device.hold = true
    const [first, second] = node.clients
    first!.send(request(CMD.WRITE, { cookie: 1, payload: Buffer.alloc(512, 1) }))
    await vi.waitFor(() => expect(device.held).toHaveLength(1))
    await turns(1)
    second!.send(request(CMD.WRITE, { cookie: 1, payload: Buffer.alloc(512, 1) }))
    await turns(1)
    first!.socket.destroy()
    await turns(20)
    expect(device.log).toEqual(['1:0+512'])
  })

  it('is replaced though it was dropped while the node was made', async () => {
    kernel.settle = async () => {
      kernel.made.get(0)!.clients[0]!.socket.destroy()
      await turns(10)
    }
    const { node } = await attached()
    await vi.waitFor(() => expect(node.clients[0]!.socket.destroyed).toBe(false))
    await read(node)
  })

  it('is replaced though the kernel could not take another at once', async () => {
    const { node } = await attached()
    vi.spyOn(kernel, 'reconfigure').mockRejectedValueOnce(new BlockError('IO_FAILED', 'EMFILE'))
    node.clients[0]!.socket.destroy()
    await vi.waitFor(() => expect(node.clients[0]!.socket.destroyed).toBe(false))
    await read(node)
  })
})

it('is listed with others by one look at who uses them, for which all are asked together', async () => {
  const transport = transportOf()
  for (const name of ['disk', 'other', 'third']) await transport.attach(device, { ...identity, name })
  const asked: number[] = []
  const answer = Promise.withResolvers<string[]>()
  vi.spyOn(kernel, 'users').mockImplementation((index) => {
    asked.push(index)
    return answer.promise
  })
  const listed = transport.nodes?.()
  await vi.waitUntil(() => asked.length === 3)
  answer.resolve(['process 7 (dd)'])
  expect((await listed)?.map(({ node, users }) => `${node} ${users}`)).toEqual([
    '/dev/nbd0 process 7 (dd)',
    '/dev/nbd1 process 7 (dd)',
    '/dev/nbd2 process 7 (dd)',
  ])
  vi.restoreAllMocks()
})

it('has what the array tells of the disk on record for udev', async () => {
  await transportOf().attach(device, { ...identity, product: 'ACME disk', serial: '4711' })
  const text = readFileSync(join(folder, 'nodes', 'nbd0'), 'utf8')
  expect(text).toMatch(/^BLOCKBRAID_MODEL=ACME_disk\nBLOCKBRAID_SERIAL=4711\nBLOCKBRAID_WWN=0x1$/m)
})

describe('a node that another program disconnects', () => {
  it('is lost, and not the one that another process has made of the same since', async () => {
    const { attachment, node } = await attached()
    recordOf(process.ppid)
    const loss = lossOf(attachment)
    node.clients[0]!.send(request(CMD.DISC))
    await loss
    await attachment.detach()
    expect(kernel.log).not.toContain('disconnect 0')
    expect(records()).toEqual(['nbd0'])
  })

  it('is lost with the goodbye of the kernel', async () => {
    const { attachment, node, transport } = await attached()
    const loss = lossOf(attachment)
    node.clients[0]!.send(request(CMD.DISC))
    expect(await loss).toBe('another program disconnected /dev/nbd0')
    await attachment.detach()
    expect(kernel.log).toContain('disconnect 0')
    expect(records()).toEqual([])
    await transport.attach(device, identity)
  })

  it('is lost while it is being detached, which then ends, and what has its number by now stays', async () => {
    const { attachment, node, transport } = await attached()
    const claim = Promise.withResolvers<{ close(): Promise<void> }>()
    kernel.claimed = claim.promise
    const detached = attachment.detach()
    await turns(4)
    const loss = lossOf(attachment)
    node.connected = false
    node.clients[0]!.send(request(CMD.DISC))
    await loss
    const others = await transportOf().attach(device, { name: 'other', volume: 'naa.2' })
    expect(others.node).toBe('/dev/nbd0')
    claim.reject(new Error('ENXIO'))
    await detached
    await attachment.detach()
    expect(kernel.log).not.toContain('disconnect 0')
    expect(kernel.guarded).toEqual(['0 blockbraid/other@naa.2'])
    expect((await transport.attach(device, identity)).node).toBe('/dev/nbd1')
  })

  it('is told once, and can be attached again once it is detached, while its I/O has not ended at the device', async () => {
    const { attachment, node, transport } = await attached()
    const losses: Error[] = []
    attachment.events.on('lost', (error) => losses.push(error))
    device.hold = true
    node.clients[0]!.send(request(CMD.WRITE, { length: 512 }), Buffer.alloc(512, 7))
    await vi.waitUntil(() => device.held.length === 1)
    node.connected = false
    node.clients[0]!.send(request(CMD.DISC))
    node.clients[0]!.socket.destroy()
    await vi.waitUntil(() => losses.length > 0)
    // What is in flight may still land: the next node would not see it coming.
    const early = attachment.detach()
    await expect(transport.attach(device, identity)).rejects.toMatchObject({ code: 'IN_USE' })
    device.hold = false
    device.release()
    await early
    await attachment.detach({ mode: 'leave' })
    expect(losses.map(({ message }) => message)).toEqual(['another program disconnected /dev/nbd0'])
    expect([kernel.guarded, records()]).toEqual([[], []])
    await transport.attach(device, identity)
  })

  it('is not reset where a program has made another of its number that has no backend', async () => {
    const { attachment, node } = await attached()
    const loss = lossOf(attachment)
    node.connected = false
    node.attributes.set('pid', '1')
    node.clients[0]!.socket.destroy()
    await loss
    await attachment.detach()
    expect(node.attributes.get('queue/io_timeout')).toBe('5000')
  })

  it('is lost where the kernel takes no other connection, and its number is let alone', async () => {
    const { attachment, node } = await attached()
    const loss = lossOf(attachment)
    node.connected = false
    node.clients[0]!.socket.destroy()
    expect(await loss).toBe('another program disconnected /dev/nbd0')
    await attachment.detach({ mode: 'force' })
    expect(kernel.log).not.toContain('disconnect 0')
  })
})

describe('a node that was left', () => {
  it('answers what is in flight, takes nothing more, and is taken over', async () => {
    const { attachment, node } = await attached()
    device.hold = true
    const [client] = node.clients
    client!.send(request(CMD.READ, { cookie: 1, length: 512 }))
    await vi.waitFor(() => expect(device.held).toHaveLength(1))
    const left = attachment.detach({ mode: 'leave' })
    client!.send(request(CMD.READ, { cookie: 2, length: 512 }))
    for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve))
    device.hold = false
    device.release()
    await left
    // The first alone is answered, and the second not with an error either.
    expect(await client!.read(16 + 512)).toEqual(simple(0, 1, device.memory.subarray(0, 512)))
    await expect(client!.read(1)).rejects.toThrow('after 0 of 1 bytes')
    expect(records()).toEqual(['nbd0'])
    expect(node.connected).toBe(true)

    device.limits = { ...device.limits, size: 32768 }
    const next = await attached()
    expect(next.attachment).toMatchObject({ node: '/dev/nbd0', tookOver: true })
    expect(next.node.attributes.get('size')).toBe('64')
    await read(next.node)
  })

  it('is taken over once the kernel sees that nobody serves it', async () => {
    const { attachment } = await attached()
    await attachment.detach({ mode: 'leave' })
    kernel.blind = 2
    const next = await attached()
    expect(next.attachment.tookOver).toBe(true)
    expect(kernel.log.filter((line) => line === 'reconfigure 0')).toHaveLength(3)
    expect(next.attachment.stats().connections).toBe(1)
    await read(next.node)
  })

  it('is taken over though it is in use, without a look for partitions', async () => {
    const { attachment, node } = await attached({ partitions: true })
    await attachment.detach({ mode: 'leave' })
    node.users = ['mounted at /mnt']
    const next = await attached({ partitions: true })
    expect(next.attachment.tookOver).toBe(true)
  })

  it('is under guard before its record says who has taken it over', async () => {
    const { attachment } = await attached()
    await attachment.detach({ mode: 'leave' })
    const file = join(folder, 'nodes', 'nbd0')
    writeFileSync(file, readFileSync(file, 'latin1').replace(/PID=.*/, 'PID=0'))
    const guard = kernel.guard.bind(kernel)
    let pid: string | undefined
    kernel.guard = (...watched) => {
      pid = /PID=(.*)/.exec(readFileSync(file, 'latin1'))?.[1]
      return guard(...watched)
    }
    await attached()
    expect(pid).toBe('0')
  })

  it('is taken over with as many connections as it has', async () => {
    const { attachment } = await attached({ connections: 3 })
    await attachment.detach({ mode: 'leave' })
    const next = await attached()
    expect(next.attachment.stats().connections).toBe(3)
    for (let client = 0; client < 3; client++) await read(next.node, client)
  })

  it('is not taken over with blocks of another size, or by another volume', async () => {
    const { attachment, transport } = await attached()
    await attachment.detach({ mode: 'leave' })
    const other = await transport.attach(device, { ...identity, volume: 'naa.2' })
    expect(other).toMatchObject({ node: '/dev/nbd1', tookOver: false })
    device.limits = { ...device.limits, blockSize: 4096 }
    await expect(transportOf().attach(device, identity)).rejects.toMatchObject({ code: 'MISMATCH' })
  })

  it('is taken over without a write cache where the device has one, and written through', async () => {
    device.limits = { ...device.limits, writeCache: false }
    const { attachment } = await attached()
    await attachment.detach({ mode: 'leave' })
    device.limits = { ...device.limits, writeCache: true }
    const { attachment: next, node } = await attached()
    expect(next).toMatchObject({ node: '/dev/nbd0', tookOver: true })
    await writes(node)
    // First what the process before may have left in the cache without knowing of it.
    expect(device.log).toEqual([FLUSH, 'w f', 'z f', 't', FLUSH])
  })

  it('is IN_USE while this process serves it', async () => {
    await attached()
    await expect(transportOf().attach(device, identity)).rejects.toMatchObject({
      code: 'IN_USE',
      message: `process ${process.pid} serves disk as /dev/nbd0`,
    })
  })

  it('is listed and removed', async () => {
    const { attachment, transport, node } = await attached()
    const listed = { node: '/dev/nbd0', name: 'disk', volume: 'naa.1', users: [] }
    expect(await transport.nodes?.()).toEqual([{ ...listed, served: true, pid: process.pid }])
    await expect(transport.removeNode?.('/dev/nbd0')).rejects.toMatchObject({ code: 'IN_USE' })
    await attachment.detach({ mode: 'leave' })
    expect(await transport.nodes?.()).toEqual([{ ...listed, served: false }])
    node.users = ['process 1 (x)']
    await expect(transport.removeNode?.('/dev/nbd0')).rejects.toMatchObject({ code: 'IN_USE' })
    await transport.removeNode?.('/dev/nbd0', { mode: 'force' })
    expect(await transport.nodes?.()).toEqual([])
    await expect(transport.removeNode?.('/dev/nbd0')).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })
})

describe('kernel: auto', () => {
  it('makes a node where it can', async () => {
    const { attachment } = await attached({ kernel: 'auto', socket: join(folder, 's') })
    expect(attachment.node).toBe('/dev/nbd0')
    expect(attachment.fallback).toBeUndefined()
  })

  it('makes an export where it cannot, and says why', async () => {
    kernel.notReady = new BlockError('NOT_SUPPORTED', 'no module')
    const transport = transportOf({ kernel: 'auto', socket: join(folder, 's') })
    const attachment = await transport.attach(device, identity)
    expect(attachment.node).toMatch(/^nbd\+unix:/)
    expect(attachment.fallback).toBe(kernel.notReady)
    await transport.close()
  })

  it('does not hide that the node is in use', async () => {
    await attached()
    const transport = transportOf({ kernel: 'auto', socket: join(folder, 's') })
    await expect(transport.attach(device, identity)).rejects.toMatchObject({ code: 'IN_USE' })
  })
})
