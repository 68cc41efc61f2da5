import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { encodeResult } from '../src/control/protocol.ts'
import { streamControl } from '../src/control/stream.ts'

it('a stream of an agent that has stopped to answer ends with the words of the other commands', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'bb-silent-'))
  const path = join(folder, 's')
  let hellos = 0
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.on('data', (text) => {
      if (String(text).includes('"trace"')) socket.write(`${encodeResult({ pair: 'vol-0', volume: 'v' })}begun`)
      // It hangs from then on.
      else if (hellos++ === 0) socket.write(encodeResult({ pid: 1 }))
    })
  })
  await new Promise<void>((resolve) => server.listen(path, resolve))
  const got: string[] = []
  const read = async (): Promise<void> => {
    const stream = streamControl(path, { op: 'trace', pair: 'vol-0' }, new AbortController().signal)
    for await (const chunk of stream) got.push(Buffer.from(chunk).toString())
  }
  await expect(read()).rejects.toMatchObject({
    code: 'TIMED_OUT',
    message: expect.stringContaining(`agent ${process.pid} does not answer within 3 s`),
  })
  expect(got.join('')).toBe('begun')
  server.close()
  await rm(folder, { recursive: true })
}, 30_000)
