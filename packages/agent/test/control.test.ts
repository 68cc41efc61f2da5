import { chmod, lstat, mkdir, mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import type { Socket } from 'node:net'
import { createConnection, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { callControl } from '../src/control/client.ts'
import { createLines } from '../src/control/lines.ts'
import { defaultControlPath } from '../src/control/path.ts'
import { meantId } from '../src/control/path-ids.ts'
import { decodeReply, decodeRequest, encodeRequest, MAX_REQUEST } from '../src/control/protocol.ts'
import type { ControlServer, Handler } from '../src/control/server.ts'
import { serveControl } from '../src/control/server.ts'
import { shorten } from '../src/text/table.ts'

let folder: string
let path: string
let server: ControlServer | undefined
const echo: Handler = async (request) => {
  if (request.op === 'down') throw new Error(`there is no pair ${request.pair}`)
  return { pid: 77, request }
}

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'bb-control-'))
  path = join(folder, 'deep', 'control.sock')
})
afterEach(async () => {
  await server?.close()
  server = undefined
  await rm(folder, { recursive: true })
})

/** Sends raw text; gives what came back until the server closed the connection, or `lines` lines. */
function talk(text: string | Uint8Array, lines = Number.POSITIVE_INFINITY): Promise<string> {
  return new Promise((resolve) => {
    const socket = createConnection(path)
    let got = ''
    socket.on('connect', () => socket.write(text))
    socket.on('data', (chunk) => {
      got += String(chunk)
      if (got.split('\n').length > lines) socket.destroy()
    })
    socket.on('error', () => undefined)
    socket.on('close', () => resolve(got))
  })
}

describe('control socket file', () => {
  it('is had by one of several agents that start at once', async () => {
    for (let round = 0; round < 10; round++) {
      const starts = await Promise.allSettled(Array.from({ length: 4 }, () => serveControl(path, echo)))
      const won = starts.flatMap((start) => (start.status === 'fulfilled' ? [start.value] : []))
      expect(won.length).toBe(1)
      expect(await callControl(path, { op: 'ls' })).toMatchObject({ pid: 77 })
      for (const { close } of won) await close()
    }
  })

  it.each([
    ['/sys/blockbraid/control.sock', /^cannot make the folder \/sys\/blockbraid for the socket \/sys\/\S+: /],
    ['/sys/control.sock', /^cannot make the control socket \/sys\/control\.sock: /],
  ])('says so where nobody may write: %s', async (where, words) => {
    const starting = serveControl(where, echo)
    await expect(starting).rejects.toMatchObject({ code: 'DENIED' })
    await expect(starting).rejects.toThrow(words)
    await expect(starting).rejects.toThrow(/: (not allowed|it would be on a read-only filesystem)$/)
  })

  it('says so where a file is in the way of its folder', async () => {
    await writeFile(join(folder, 'file'), '')
    await expect(serveControl(join(folder, 'file', 'control.sock'), echo)).rejects.toMatchObject({
      code: 'IN_USE',
      message: `cannot make the folder ${folder}/file for the socket ${folder}/file/control.sock: a file is in its way`,
    })
  })

  it('is refused where its path is too long to connect to', async () => {
    await expect(serveControl(join(folder, 'c'.repeat(100)), echo)).rejects.toThrow('too long for a socket')
  })

  it('is not trusted in a folder of /tmp that others may write to', async () => {
    const shared = `/tmp/blockbraid-test-${process.pid}`
    await mkdir(shared)
    await chmod(shared, 0o777)
    try {
      await expect(serveControl(join(shared, 'control.sock'), echo)).rejects.toMatchObject({ code: 'DENIED' })
    } finally {
      await rm(shared, { recursive: true })
    }
  })
})

describe('control socket', () => {
  it('answers its own user only, in a folder of that user', async () => {
    server = await serveControl(path, echo)
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect((await stat(join(folder, 'deep'))).mode & 0o777).toBe(0o700)
    expect(await callControl(path, { op: 'policy', pair: 'vol-0', use: 'x' })).toEqual({
      pid: 77,
      request: { op: 'policy', pair: 'vol-0', use: 'x' },
    })
    await expect(callControl(path, { op: 'down', pair: 'nope' })).rejects.toThrow('there is no pair nope')
  })

  it('is removed at the end, and then nobody answers', async () => {
    server = await serveControl(path, echo)
    await server.close()
    await expect(lstat(path)).rejects.toThrow('ENOENT')
    await expect(callControl(path, { op: 'ls' })).rejects.toMatchObject({ code: 'NOT_FOUND' })
  })

  it('of a dead agent is taken over', async () => {
    const { spawnSync } = await import('node:child_process')
    server = await serveControl(path, echo)
    await server.close()
    spawnSync(process.execPath, [
      '-e',
      `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 9))`,
    ])
    expect((await lstat(path)).isSocket()).toBe(true)
    server = await serveControl(path, echo)
    expect(await callControl(path, { op: 'hello' })).toMatchObject({ pid: 77 })
  })

  it('of a live agent is refused with its pid', async () => {
    server = await serveControl(path, echo)
    await expect(serveControl(path, echo)).rejects.toThrow(`an agent runs already: pid 77 on ${path}`)
    expect(await callControl(path, { op: 'hello' })).toMatchObject({ pid: 77 })
  })

  it('of another program, and what is no socket, are left alone', async () => {
    const plain = join(folder, 'plain')
    await writeFile(plain, 'precious')
    await expect(serveControl(plain, echo)).rejects.toThrow(`${plain} is there and is not a socket`)
    const other = createServer((socket) => socket.end('HTTP/1.1 400 Bad Request\n')).listen(join(folder, 'other'))
    await expect(serveControl(join(folder, 'other'), echo)).rejects.toThrow('another program listens on')
    other.close()
  })

  it('must have a short path', async () => {
    await expect(serveControl(join(folder, 'x'.repeat(120), 's'), echo)).rejects.toThrow('is too long for a socket')
  })

  it.each([
    ['{', 'the request is not JSON'],
    ['[]', 'the request is not a JSON object'],
    ['null', 'the request is not a JSON object'],
    ['{"op":"ls"}', 'speaks version 1 of the control protocol'],
    ['{"blockbraid":2,"op":"ls"}', 'speaks version 1 of the control protocol'],
    ['{"blockbraid":1,"op":"format"}', 'the request has no known op'],
    ['{"blockbraid":1,"op":"constructor"}', 'the request has no known op'],
    ['{"blockbraid":1,"op":"down"}', 'down: pair must be a text that is not empty'],
    ['{"blockbraid":1,"op":"down","pair":5}', 'down: pair must be a text that is not empty'],
    ['', 'the request is not JSON'],
  ])('answers %j with what is wrong, and serves on', async (line, words) => {
    server = await serveControl(path, echo)
    const [bad, good] = (await talk(`${line}\n${encodeRequest({ op: 'hello' })}`, 2)).split('\n')
    expect(() => decodeReply(bad!)).toThrow(words)
    expect(decodeReply(good!)).toMatchObject({ pid: 77 })
  })

  it('keeps the order of many requests, whole or in pieces', async () => {
    server = await serveControl(path, async (request) => {
      await new Promise(setImmediate)
      return request.op === 'down' ? request.pair : 'x'
    })
    const all = Array.from({ length: 50 }, (_, n) => encodeRequest({ op: 'down', pair: `p${n}` })).join('')
    const replies = (await talk(all, 50)).trim().split('\n')
    expect(replies.map(decodeReply)).toEqual(Array.from({ length: 50 }, (_, n) => `p${n}`))
  })

  it('ends a client that sends a line without end', async () => {
    server = await serveControl(path, echo)
    const reply = await talk('x'.repeat(MAX_REQUEST + 1))
    expect(() => decodeReply(reply.trim())).toThrow(`the request is longer than ${MAX_REQUEST} bytes`)
    expect(await callControl(path, { op: 'hello' })).toMatchObject({ pid: 77 })
  })

  it('ends a client that says nothing, or only a part', async () => {
    server = await serveControl(path, echo, { timeout: 50 })
    expect(await talk('')).toBe('')
    expect(await talk('{"blockbraid":1')).toBe('')
  })

  it('ends a client that does not read', async () => {
    const large = 'x'.repeat(2 ** 22)
    server = await serveControl(path, async () => large, { timeout: 200, maxConnections: 1 })
    const socket = createConnection(path)
    socket.pause()
    socket.on('error', () => undefined)
    for (let n = 0; n < 100; n++) socket.write(encodeRequest({ op: 'ls' }))
    // There is room for one client only: until the deaf one is ended, others are turned away.
    await expect(callControl(path, { op: 'ls' })).rejects.toThrow()
    await expect.poll(() => callControl(path, { op: 'ls' }).catch(() => 'refused'), { timeout: 10_000 }).toBe(large)
    socket.destroy()
  })

  it('turns away more clients than it allows', async () => {
    server = await serveControl(path, echo, { maxConnections: 2 })
    const held: Socket[] = []
    for (let n = 0; n < 2; n++) {
      const socket = createConnection(path)
      held.push(socket)
      await new Promise((resolve) => {
        socket.once('data', resolve)
        socket.write(encodeRequest({ op: 'hello' }))
      })
    }
    await expect(callControl(path, { op: 'hello' })).rejects.toThrow()
    for (const socket of held) socket.destroy()
    await expect
      .poll(() => callControl(path, { op: 'hello' }).catch(() => 'refused'), { timeout: 10_000 })
      .toMatchObject({ pid: 77 })
  })

  it('does not outlive a client that leaves, nor clients its end', async () => {
    let finish = (): void => undefined
    const asked = new Promise<void>((resolve) => {
      server = undefined
      void serveControl(path, () => {
        resolve()
        return new Promise((done) => {
          finish = () => done('late')
        })
      }).then((made) => {
        server = made
      })
    })
    await expect.poll(() => server, { timeout: 10_000 }).toBeDefined()
    const leaving = new AbortController()
    const call = callControl(path, { op: 'ls' }, { signal: leaving.signal })
    await asked
    leaving.abort()
    await expect(call).rejects.toMatchObject({ code: 'ABORTED' })
    finish()
    const cut = expect(callControl(path, { op: 'ls' })).rejects.toThrow()
    await server?.close()
    await cut
  })
})

describe('control client', () => {
  const answer = (reply: string) =>
    new Promise<() => void>((resolve) => {
      const made = createServer((socket) => {
        socket.on('error', () => undefined)
        socket.once('data', () => (reply === 'nothing' ? undefined : socket.end(reply)))
      })
      made.listen(join(folder, 's'), () => resolve(() => made.close()))
    })

  it.each([
    ['{"blockbraid":1,"ok":true,', 'ended before it answered'],
    ['nonsense\n', 'the answer is not JSON'],
    ['null\n', 'the answer is not of this version'],
    ['{"blockbraid":9,"ok":true}\n', 'the answer is not of this version'],
    ['{"blockbraid":1,"ok":false,"error":"no"}\n', 'no'],
  ])('rejects %j', async (reply, words) => {
    const close = await answer(reply)
    await expect(callControl(join(folder, 's'), { op: 'ls' })).rejects.toThrow(words)
    close()
  })

  it('asks a silent agent for nothing that it would do later, and names its process', async () => {
    const got: string[] = []
    const silent = createServer((socket) => {
      socket.on('error', () => undefined)
      socket.on('data', (chunk) => got.push(String(chunk)))
    })
    await new Promise<void>((resolve) => silent.listen(join(folder, 's'), resolve))
    const call = callControl(join(folder, 's'), { op: 'down', pair: 'vol-0' }, { timeout: 200 })
    await expect(call).rejects.toMatchObject({
      code: 'TIMED_OUT',
      message: expect.stringContaining(`agent ${process.pid} does not answer within 0.2 s`),
    })
    expect(got.join('')).toBe(encodeRequest({ op: 'hello' }))
    silent.close()
  })

  it('waits for what takes long as long as the agent shows that it lives', async () => {
    let hellos = 0
    let finish: (answer: string) => void = () => undefined
    server = await serveControl(path, async ({ op }) => {
      if (op === 'path-fail') return new Promise((resolve) => (finish = resolve))
      if (++hellos > 3) finish('fenced')
      return {}
    })
    expect(await callControl(path, { op: 'path-fail', pair: 'vol-0', path: 'a' })).toBe('fenced')
  })

  it('waits only so long', async () => {
    const close = await answer('nothing')
    await expect(callControl(join(folder, 's'), { op: 'ls' }, { timeout: 20 })).rejects.toMatchObject({
      code: 'TIMED_OUT',
    })
    close()
  })
})

describe('lines', () => {
  it('are the same wherever the stream is cut', () => {
    const bytes = new TextEncoder().encode('eins\n\nzwölf\nrest')
    for (let cut = 0; cut <= bytes.length; cut++) {
      const got: string[] = []
      const lines = createLines(8, (line) => got.push(line))
      expect(lines.push(bytes.subarray(0, cut)) && lines.push(bytes.subarray(cut))).toBe(true)
      expect(got).toEqual(['eins', '', 'zwölf'])
    }
  })

  it('are refused for good above the limit, wherever the stream is cut', () => {
    const bytes = new TextEncoder().encode('12345678\n123456789\nx\n')
    for (let cut = 0; cut <= bytes.length; cut++) {
      const got: string[] = []
      const lines = createLines(8, (line) => got.push(line))
      lines.push(bytes.subarray(0, cut))
      expect(lines.push(bytes.subarray(cut))).toBe(false)
      expect(got).toEqual(['12345678'])
    }
  })
})

describe('the id of a path', () => {
  const ids = [1, 2, 10, 12].flatMap((port) =>
    [0, 1].map((lun) => `iscsi:iqn.2026-11.io.example:array/192.0.2.${port}:3260/lun${lun}`),
  )
  const [, at1, at2, , , at10] = ids

  it.each([
    [at1!, at1],
    [ids[3]!, ids[3]],
    // As `ls` and `top` print it: its middle is cut out.
    ['iscsi:i...1:3260/lun1', at1],
    [shorten(at2!, 40), at2],
    [`iscsi…${at10!.slice(-22)}`, at10],
    // Any part: a whole word first.
    ['192.0.2.1:3260/lun1', at1],
    ['2.10:3260/LUN1', at10],
    ['..2.1:..lun1', at1],
    ['10:3260/lun1', at10],
    ['nowhere', undefined],
    ['.*', undefined],
    ['', undefined],
  ])('is meant by %s', (text, id) => {
    expect(meantId(ids, text)).toBe(id)
  })

  it('is asked for again where several have the part', () => {
    expect(() => meantId(ids, '192.0.2.1:3260')).toThrow(
      `"192.0.2.1:3260" is a part of several: ${ids[0]}, ${ids[1]}; say more of one`,
    )
    expect(() =>
      meantId(
        Array.from({ length: 20 }, (_, n) => `path${n}`),
        'path',
      ),
    ).toThrow('path7 and 12 more; say')
  })
})

describe('names', () => {
  it('the default path is of this user', () => {
    const mine = process.getuid?.() === 0 ? '/run/blockbraid/control.sock' : '/x/blockbraid/control.sock'
    expect(defaultControlPath({ XDG_RUNTIME_DIR: '/x' })).toBe(mine)
  })

  it('what was encoded is decoded', () => {
    const request = { op: 'path-fail', pair: 'a', path: 'b' } as const
    expect(decodeRequest(encodeRequest(request))).toEqual(request)
  })
})
