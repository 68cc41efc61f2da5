import type { Socket } from 'node:net'
import { connect, createServer } from 'node:net'

/** What went over a connection since its login. Lengths are bytes. */
export interface Seen {
  /** Keys that the target answered in the login, the last one. */
  readonly keys: Map<string, string>
  /** Commands, by their first CDB byte. */
  readonly commands: Map<number, number>
  /** Commands with immediate data, and the most of it. */
  immediate: number
  longestImmediate: number
  /** Data-Out PDUs that no R2T asked for, and the most unasked bytes of a command, immediate data included. */
  unsolicited: number
  mostUnsolicited: number
  /** Data-Out PDUs that an R2T asked for. */
  solicited: number
  longestDataOut: number
  longestDataIn: number
  r2ts: number
  longestR2t: number
  nopIns: number
}

/** Listens for an initiator, passes every byte on to a portal, and looks at the PDUs of the newest connection. */
export interface Tap extends AsyncDisposable {
  /** Where it listens, `host:port`. */
  readonly portal: string
  readonly seen: Seen
}

export async function openTap(portal: string): Promise<Tap> {
  const [host = '', port = ''] = portal.split(':')
  const sockets = new Set<Socket>()
  let seen = nothing()
  const server = createServer((initiator) => {
    const target = connect(Number(port), host)
    const watch = watcher((seen = nothing()))
    join(initiator, target, watch.request)
    join(target, initiator, watch.response)
  })
  const join = (from: Socket, to: Socket, look: (bytes: Buffer) => void): void => {
    sockets.add(from)
    from.setNoDelay(true)
    from.on('data', (bytes) => {
      look(bytes)
      to.write(bytes)
    })
    from.on('error', () => to.destroy())
    from.on('close', () => {
      sockets.delete(from)
      to.destroy()
    })
  }
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  return {
    portal: `127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`,
    get seen() {
      return seen
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function nothing(): Seen {
  return {
    keys: new Map(),
    commands: new Map(),
    immediate: 0,
    longestImmediate: 0,
    unsolicited: 0,
    mostUnsolicited: 0,
    solicited: 0,
    longestDataOut: 0,
    longestDataIn: 0,
    r2ts: 0,
    longestR2t: 0,
    nopIns: 0,
  }
}

interface Watcher {
  readonly request: (bytes: Buffer) => void
  readonly response: (bytes: Buffer) => void
}

const UNASKED = 0xffffffff

function watcher(seen: Seen): Watcher {
  // Unasked bytes by initiator task tag.
  const unasked = new Map<number, number>()
  const count = (tag: number, length: number): void => {
    const sum = (unasked.get(tag) ?? 0) + length
    unasked.set(tag, sum)
    seen.mostUnsolicited = Math.max(seen.mostUnsolicited, sum)
  }
  // Digests come with the first PDU after the login's last answer, in both directions.
  const digests = { header: 0, data: 0 }
  const requests = splitter(digests, (header, data) => {
    const opcode = header[0]! & 0x3f
    const tag = header.readUInt32BE(16)
    if (opcode === 0x01) {
      const command = header[32]!
      seen.commands.set(command, (seen.commands.get(command) ?? 0) + 1)
      unasked.delete(tag)
      if (data.length === 0) return
      seen.immediate++
      seen.longestImmediate = Math.max(seen.longestImmediate, data.length)
      count(tag, data.length)
    } else if (opcode === 0x05) {
      seen.longestDataOut = Math.max(seen.longestDataOut, data.length)
      if (header.readUInt32BE(20) !== UNASKED) seen.solicited++
      else {
        seen.unsolicited++
        count(tag, data.length)
      }
    }
  })
  const responses = splitter(digests, (header, data) => {
    const opcode = header[0]! & 0x3f
    if (opcode === 0x23) {
      for (const pair of data.toString('latin1').split('\0')) {
        const [key = '', value = ''] = pair.split('=')
        if (key !== '') seen.keys.set(key, value)
      }
      // The last answer: transit to full feature phase.
      if ((header[1]! & 0x83) === 0x83) {
        digests.header = seen.keys.get('HeaderDigest') === 'CRC32C' ? 4 : 0
        digests.data = seen.keys.get('DataDigest') === 'CRC32C' ? 4 : 0
      }
    } else if (opcode === 0x25) {
      seen.longestDataIn = Math.max(seen.longestDataIn, data.length)
    } else if (opcode === 0x31) {
      seen.r2ts++
      seen.longestR2t = Math.max(seen.longestR2t, header.readUInt32BE(44))
    } else if (opcode === 0x20) {
      seen.nopIns++
    }
  })
  return { request: requests, response: responses }
}

/** Cuts a stream into PDUs. */
function splitter(
  digests: { readonly header: number; readonly data: number },
  take: (header: Buffer, data: Buffer) => void,
): (bytes: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0)
  return (bytes) => {
    rest = rest.length === 0 ? bytes : Buffer.concat([rest, bytes])
    for (;;) {
      if (rest.length < 48) return
      const length = rest.readUIntBE(5, 3)
      const data = 48 + rest[4]! * 4 + digests.header
      const end = data + Math.ceil(length / 4) * 4 + (length > 0 ? digests.data : 0)
      if (rest.length < end) return
      take(rest.subarray(0, 48), rest.subarray(data, data + length))
      rest = rest.subarray(end)
    }
  }
}
