import type { Socket } from 'node:net'
import { hostile, iscsiArrayOf } from '@blockbraid/array-iscsi'
import { BlockError, Errno, Io, IoOp, PATH_ERROR } from '@blockbraid/core'
import { memory } from '@blockbraid/target-memory'
import { expect, onTestFinished, test } from 'vitest'
import type { IscsiOptions } from '../../src/index.ts'
import { iscsi } from '../../src/index.ts'
import type { Got, Script } from './hostile-target.ts'
import { answerLogin, countingHost, loginAnswer, scriptedTarget, welcome } from './hostile-target.ts'
import { pdu } from './support.ts'

const fast: Partial<IscsiOptions> = {
  initiator: 'iqn.2026-11.io.blockbraid:host',
  loginTimeout: 300,
  taskTimeout: 200,
  keepAliveInterval: 100,
  keepAliveTimeout: 100,
}

/** Repeats something until the connection ends. */
function forever(socket: Socket, milliseconds: number, action: () => void): void {
  const timer = setInterval(action, milliseconds)
  socket.on('close', () => clearInterval(timer))
}

/** Bytes one at a time. */
function trickle(socket: Socket, bytes: Buffer, milliseconds: number): void {
  let at = 0
  forever(socket, milliseconds, () => {
    if (at < bytes.length) socket.write(bytes.subarray(at, ++at))
  })
}

/** What a target says after its first answer to a command. */
const afterLogin = (command: (got: Got) => void): Script => ({ command })

const luns = (count: number): Buffer => {
  const list = Buffer.alloc(8 + 8 * count)
  list.writeUInt32BE(8 * count, 0)
  for (let lun = 0; lun < count; lun++) list.writeUInt32BE(((0x40_00 | lun) << 16) >>> 0, 8 + 8 * lun)
  return list
}

const scripts: Record<string, Script> = {
  'silent after accept': { accept() {} },
  'closes after accept': { accept: (socket) => void socket.destroy() },
  'half-closes after accept': { accept: (socket) => void socket.end() },
  'garbage before login': { accept: (socket) => forever(socket, 1, () => socket.write(Buffer.alloc(4096, 0xa5))) },
  'zeroes before login': { accept: (socket) => forever(socket, 1, () => socket.write(Buffer.alloc(4096))) },
  'speaks HTTP': { accept: (socket) => void socket.write('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n') },
  'a login answer of 16 MiB': {
    login(got) {
      const answer = loginAnswer(got, 0x81, '')
      answer.writeUIntBE(0xff_ffff, 5, 3)
      got.socket.write(answer)
      forever(got.socket, 1, () => got.socket.write(Buffer.alloc(65_536)))
    },
  },
  'half a login answer': { login: (got) => void got.socket.write(loginAnswer(got, 0x81, '').subarray(0, 30)) },
  'a login answer byte by byte, too slow': { login: (got) => trickle(got.socket, welcome(got), 20) },
  'a negotiation that never ends': { login: (got) => void got.socket.write(loginAnswer(got, 0x00, '')) },
  'login text that is continued for ever': {
    login: (got) => void got.socket.write(loginAnswer(got, 0x40, Buffer.alloc(8192, 'a'))),
  },
  'keys for ever': {
    login: (got) => void got.socket.write(loginAnswer(got, 0x00, `X-key${got.header.readUInt32BE(28)}=1\0`)),
  },
  'login answers nobody asked for': {
    login(got) {
      for (let count = 0; count < 10_000; count++) got.socket.write(welcome(got))
    },
  },
  'login answers of a wrong type': { login: (got) => void got.socket.write(pdu({ opcode: 0x21, tag: 0 })) },
  'no answer to text': { text() {} },
  'text in endless parts': {
    text: ({ tag, socket }) =>
      void socket.write(pdu({ opcode: 0x24, flags: 0, tag, transferTag: 1, data: Buffer.from('a') })),
  },
  'text in endless slow parts': {
    text: ({ tag, socket }) =>
      void setTimeout(
        () => socket.write(pdu({ opcode: 0x24, flags: 0, tag, transferTag: 1, data: Buffer.from('a') })),
        150,
      ),
  },
  '10 000 targets and more': {
    text({ tag, socket }) {
      const text = Array.from({ length: 11_000 }, (_, at) => `TargetName=iqn.2026-11.io.blockbraid:${at}\0`).join('')
      const bytes = Buffer.from(text)
      const parts = Math.ceil(bytes.length / 200_000)
      answered.set(socket, (answered.get(socket) ?? 0) + 1)
      const part = answered.get(socket) as number
      const data = bytes.subarray((part - 1) * 200_000, part * 200_000)
      const last = part === parts
      socket.write(pdu({ opcode: 0x24, flags: last ? 0x80 : 0x40, tag, transferTag: last ? 0xffff_ffff : part, data }))
    },
  },
  'no answer to commands, none to pings': {
    login(got) {
      answerLogin(got)
      if (((got.header[1] as number) & 3) === 3 && !got.data.includes('Discovery')) {
        const discovery = discoveries.has(got.socket)
        if (!discovery) got.socket.removeAllListeners('data').resume()
      } else if (got.data.includes('SessionType=Discovery')) discoveries.add(got.socket)
    },
  },
  'no answer to commands': afterLogin(() => {}),
  'data of 16 MiB': afterLogin(({ tag, socket }) => {
    const bytes = pdu({ opcode: 0x25, flags: 0x81, tag })
    bytes.writeUIntBE(0xff_ffff, 5, 3)
    socket.write(bytes)
    forever(socket, 1, () => socket.write(Buffer.alloc(65_536)))
  }),
  'data for an unknown tag': afterLogin(
    ({ tag, socket }) => void socket.write(pdu({ opcode: 0x25, flags: 0x81, tag: tag ^ 0x10_0000, data: luns(1) })),
  ),
  'data beyond the command': afterLogin(
    ({ tag, socket }) => void socket.write(pdu({ opcode: 0x25, flags: 0x81, tag, data: Buffer.alloc(65_536) })),
  ),
  'R2T for a read': afterLogin(
    ({ tag, socket }) => void socket.write(pdu({ opcode: 0x31, tag, transferTag: 1, word44: 512 })),
  ),
  'half of the data': afterLogin(
    ({ tag, socket }) => void socket.write(pdu({ opcode: 0x25, flags: 0x81, tag, data: luns(100) }).subarray(0, 200)),
  ),
  'data byte by byte, for ever': afterLogin(({ tag, socket }) => {
    trickle(socket, pdu({ opcode: 0x25, flags: 0x81, tag, data: luns(1000) }), 20)
  }),
  'garbage after login': afterLogin(({ socket }) => {
    forever(socket, 1, () => socket.write(Buffer.alloc(4096, 0xa5)))
  }),
  'pings, and no look at the answers': afterLogin(({ socket }) => {
    socket.pause()
    const many = Buffer.concat(
      Array.from({ length: 500 }, () => pdu({ opcode: 0x20, transferTag: 5, data: Buffer.alloc(1024) })),
    )
    forever(socket, 1, () => socket.write(many))
  }),
  'a window that is closed': afterLogin(
    ({ socket }) => void socket.write(pdu({ opcode: 0x20, expCmdSn: 1000, maxCmdSn: 10 })),
  ),
  'messages for ever': afterLogin(({ socket }) => {
    const many = Buffer.concat(
      [0, 4, 5, 255].map((event) => pdu({ opcode: 0x32, word36: (event << 24) >>> 0, data: Buffer.alloc(64) })),
    )
    forever(socket, 1, () => socket.write(many))
  }),
  'logout asked for, and nothing else': afterLogin(
    ({ socket }) => void socket.write(pdu({ opcode: 0x32, word36: 1 << 24, word40: 1 })),
  ),
  '10 000 logical units': afterLogin(({ tag, socket, header }) => {
    const room = header.readUInt32BE(20)
    const list = luns(10_000).subarray(0, room)
    socket.write(pdu({ opcode: 0x25, flags: 0x81, tag, data: list }))
  }),
}
const answered = new WeakMap<Socket, number>()
const discoveries = new WeakSet<Socket>()

const codes = ['CONNECT_FAILED', 'TIMED_OUT', 'PROTOCOL', 'TOO_LARGE', 'IO_FAILED']

test.each(Object.keys(scripts))('a target that does this: %s. An error, and nothing is left', async (name) => {
  const target = await scriptedTarget(scripts[name] as Script)
  const host = countingHost()
  const initiator = iscsi({ portals: [target.address], ...fast }, host)
  const before = process.memoryUsage().arrayBuffers
  const error = await initiator.discover().then(
    (infos) => infos,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(BlockError)
  expect(codes).toContain((error as BlockError).code)
  await initiator.close()
  await expect.poll(target.open, { timeout: 5000 }).toBe(0)
  await expect.poll(host.timers, { timeout: 5000 }).toBe(0)
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(128 * 1024 * 1024)
})

test('a login answer byte by byte, in time, is as good as one at once', async () => {
  const slow: Script = {
    login: (got) => trickle(got.socket, welcome(got), 1),
    command: ({ tag, socket }) => void socket.write(pdu({ opcode: 0x21, tag, status: 0x18 })),
  }
  const target = await scriptedTarget(slow)
  const initiator = iscsi({ portals: [target.address], ...fast, loginTimeout: 10_000 })
  onTestFinished(() => initiator.close())
  await expect(initiator.discover()).rejects.toMatchObject({ message: expect.stringContaining('REPORT LUNS') })
})

test('called off, or closed, while the target answers text for ever: at once, and nothing is left', async () => {
  for (const end of ['abort', 'close']) {
    const target = await scriptedTarget({
      text: ({ tag, socket }) =>
        void setTimeout(
          () => socket.write(pdu({ opcode: 0x24, flags: 0, tag, transferTag: 1, data: Buffer.from('a') })),
          20,
        ),
    })
    const host = countingHost()
    const initiator = iscsi({ portals: [target.address], ...fast, taskTimeout: 3_600_000 }, host)
    const stop = new AbortController()
    const found = initiator.discover({ signal: stop.signal }).catch((error: unknown) => error)
    await expect.poll(target.open).toBe(1)
    await new Promise((resolve) => setTimeout(resolve, 100))
    if (end === 'abort') stop.abort()
    else await initiator.close()
    expect(await found).toMatchObject({ code: end === 'abort' ? 'ABORTED' : 'CLOSED' })
    await expect.poll(target.open).toBe(0)
    await initiator.close()
    await expect.poll(host.timers).toBe(0)
  }
})

test('again and again against a target that is silent: sockets and memory do not pile up', async () => {
  const target = await scriptedTarget({ accept() {} })
  const host = countingHost()
  const initiator = iscsi({ portals: [target.address], ...fast, loginTimeout: 10 }, host)
  onTestFinished(() => initiator.close())
  for (let count = 0; count < 30; count++) {
    await expect(initiator.discover()).rejects.toMatchObject({ message: expect.stringContaining('no login within') })
  }
  await expect.poll(target.open).toBe(0)
  expect(target.accepted).toBe(30)
  expect(host.timers()).toBe(0)
})

const NAME = 'iqn.2026-11.io.blockbraid:array'

test.each([
  ['R2T beyond the command', 'r2t', hostile.r2tBeyond(), IoOp.Write],
  ['R2T outside of the command', 'r2t', hostile.r2tOutside(), IoOp.Write],
  ['R2T for an unknown tag', 'r2t', hostile.unknownTag(), IoOp.Write],
  ['R2T twice', 'r2t', hostile.twice, IoOp.Write],
  ['a response for an unknown tag', 'scsiResponse', hostile.unknownTag(), IoOp.Write],
  ['data beyond the command', 'dataIn', hostile.dataBeyond(), IoOp.Read],
  ['data for an unknown tag', 'dataIn', hostile.unknownTag(), IoOp.Read],
  ['a segment of 16 MiB', 'dataIn', hostile.hugeSegment, IoOp.Read],
  ['a shifted stream', 'dataIn', hostile.shifted, IoOp.Read],
  ['an unknown opcode', 'dataIn', hostile.unknownOpcode, IoOp.Read],
  ['garbage', 'dataIn', hostile.garbage(), IoOp.Read],
] as const)('%s while I/O runs: PATH_ERROR, the path is down, nothing is left', async (_what, name, replace, op) => {
  const inner = memory({ volumes: [{ size: '1MiB' }] })
  const array = await iscsiArrayOf(inner, { name: NAME })
  onTestFinished(async () => {
    await inner.close({ signal: AbortSignal.timeout(1000) }).catch(() => {})
    await array.close()
  })
  const host = countingHost()
  const portals = array.portals.map(({ address }) => address)
  const initiator = iscsi({ portals, ...fast, firstBurstLength: 4096 }, host)
  const [info] = await initiator.discover()
  const path = await initiator.connect(info!)
  const down = new Promise((resolve) => path.events.on('down', resolve))
  array.faults.wire({ pdu: name, replace, count: 1 })
  const io = new Io()
  io.op = op
  io.length = 65_536
  io.buffers = [Buffer.alloc(65_536)]
  const status = await new Promise<number>((resolve) => {
    io.done = (_io, result) => resolve(result)
    path.submit(io)
  })
  expect(status).toBe(Errno.EIO | PATH_ERROR)
  await down
  await path.close()
  await initiator.close()
  await expect.poll(() => array.portals.reduce((sum, { connections }) => sum + connections, 0)).toBe(0)
  expect(host.timers()).toBe(0)
})
