import type { AddressInfo, Server, Socket } from 'node:net'
import { createServer } from 'node:net'
import type { Host } from '@blockbraid/core'
import { systemHost } from '@blockbraid/core'
import { onTestFinished } from 'vitest'
import { HEADER_LENGTH, padding } from '../../src/pdu/opcode.ts'
import { pdu } from './support.ts'

/** A request that came in, whole. */
export interface Got {
  readonly opcode: number
  readonly header: Buffer
  readonly data: Buffer
  readonly tag: number
  readonly socket: Socket
}

/** What a scripted target does; what is left out is done as a target should. */
export interface Script {
  accept?(socket: Socket): void
  login?(request: Got): void
  text?(request: Got): void
  command?(request: Got): void
  other?(request: Got): void
}

export const TARGET_NAME = 'iqn.2026-11.io.blockbraid:hostile'

/** A target that does what a script says, on a socket of its own. */
export interface ScriptedTarget {
  readonly address: string
  /** Connections that are open now. */
  open(): number
  /** Bytes that wait to be sent, of all connections. */
  readonly accepted: number
}

/** Listens until the test has ended. */
export async function scriptedTarget(script: Script, host = '127.0.0.1'): Promise<ScriptedTarget> {
  const sockets = new Set<Socket>()
  const state = { accepted: 0, address: '' }
  const server: Server = createServer((socket) => {
    state.accepted++
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => {})
    if (script.accept !== undefined) {
      script.accept(socket)
      socket.resume()
      return
    }
    serve(socket, script, () => state.address)
  })
  await new Promise<void>((resolve) => server.listen(0, host, resolve))
  const { port } = server.address() as AddressInfo
  state.address = `${host}:${port}`
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy()
    await new Promise((resolve) => server.close(resolve))
  })
  return {
    address: state.address,
    open: () => sockets.size,
    get accepted() {
      return state.accepted
    },
  }
}

function serve(socket: Socket, script: Script, address: () => string): void {
  let bytes = Buffer.alloc(0)
  socket.on('data', (chunk) => {
    bytes = Buffer.concat([bytes, chunk])
    while (bytes.length >= HEADER_LENGTH) {
      const length = bytes.readUIntBE(5, 3)
      const end = HEADER_LENGTH + length + padding(length)
      if (bytes.length < end) return
      const header = Buffer.from(bytes.subarray(0, HEADER_LENGTH))
      const data = Buffer.from(bytes.subarray(HEADER_LENGTH, HEADER_LENGTH + length))
      bytes = bytes.subarray(end)
      const opcode = (header[0] as number) & 0x3f
      take({ opcode, header, data, tag: header.readUInt32BE(16), socket }, script, address())
    }
  })
}

function take(got: Got, script: Script, address: string): void {
  if (got.opcode === 0x03) (script.login ?? answerLogin)(got)
  else if (got.opcode === 0x04) (script.text ?? ((request: Got) => answerText(request, address)))(got)
  else if (got.opcode === 0x01) script.command?.(got)
  else if (got.opcode === 0x06) got.socket.write(pdu({ opcode: 0x26, tag: got.tag }))
  else if (got.opcode === 0x00 && got.tag !== 0xffff_ffff) got.socket.write(pdu({ opcode: 0x20, tag: got.tag }))
  else script.other?.(got)
}

/** A login answer: `flags` of byte 1, `text` as keys. */
export function loginAnswer({ header }: Got, flags: number, text: Buffer | string, status = 0): Buffer {
  const answer = pdu({ opcode: 0x23, flags, tag: 0, data: Buffer.from(text), word36: status << 16 })
  header.copy(answer, 8, 8, 14)
  if ((flags & 0x83) === 0x83) answer.writeUInt16BE(7, 14)
  return answer
}

/** What any target would say to let us in without authentication. */
export function welcome(got: Got): Buffer {
  const stage = ((got.header[1] as number) >> 2) & 3
  return stage === 0 ? loginAnswer(got, 0x81, 'AuthMethod=None\0TargetPortalGroupTag=1\0') : loginAnswer(got, 0x87, '')
}

export function answerLogin(got: Got): void {
  got.socket.write(welcome(got))
}

function answerText({ tag, socket }: Got, address: string): void {
  const text = `TargetName=${TARGET_NAME}\0TargetAddress=${address},1\0`
  socket.write(pdu({ opcode: 0x24, tag, data: Buffer.from(text) }))
}

/** The machine's host, with timers counted. */
export function countingHost(): Host & { readonly timers: () => number } {
  let timers = 0
  const { clock } = systemHost
  return {
    ...systemHost,
    timers: () => timers,
    clock: {
      now: () => clock.now(),
      defer: (callback) => clock.defer(callback),
      after(milliseconds, callback) {
        timers++
        let live = true
        const over = (): void => {
          if (live) timers--
          live = false
        }
        const timer = clock.after(milliseconds, () => {
          over()
          callback()
        })
        return {
          cancel() {
            over()
            timer.cancel()
          },
        }
      },
    },
  }
}
