// Started by fuzz.test.ts and asan.test.ts: calls native functions with what they do not expect. Ends with a number
// of calls, or with a crash.
import { openSync } from 'node:fs'
import { type Addon, addon, type NativeMapping, type NativeRing } from '../../src/addon.ts'
import { socketPair } from '../../src/index.ts'

declare const gc: () => void

let state = Number(process.argv[2])
const count = Number(process.argv[3])
const native = addon() as unknown as Record<keyof Addon, (...args: unknown[]) => unknown>
// Not close: it would hit descriptors of Node itself. Not memory locks and the like: they last.
const names = Object.keys(native).filter(
  (name) => !['closeFd', 'shortSlices', 'lockMemory', 'setIoFlusher'].includes(name),
)

const [a, b] = socketPair()
const file = openSync(import.meta.filename, 'r')
const handles: number[] = []
const buffers: ArrayBuffer[] = []
const detached = new Uint8Array(8)
structuredClone(detached, { transfer: [detached.buffer] })
const message = new Uint8Array(20)
new Uint32Array(message.buffer).set([20, 16, 1])

function random(below: number): number {
  state = (state * 1103515245 + 12345) & 0x7fffffff
  return Math.floor((state / 0x80000000) * below)
}

function pick<T>(list: readonly T[]): T {
  return list[random(list.length)]!
}

const odd = [
  ...[undefined, null, true, false, '', 'text', -1, 0, 1, 7, 4096, 1e6, 0.5, -0, Number.NaN, Infinity, -Infinity],
  ...[
    2 ** 31,
    2 ** 32 - 1,
    2 ** 32,
    2 ** 45,
    2 ** 46,
    2 ** 53,
    2 ** 63,
    2 ** 64,
    1e300,
    5n,
    Symbol('s'),
    {},
    [],
    () => {},
  ],
  ...[
    new Uint8Array(0),
    new Uint8Array(3),
    new Uint8Array(20),
    message,
    detached,
    new Uint16Array(9),
    new Float64Array(2),
  ],
  ...[new ArrayBuffer(16), detached.buffer, new SharedArrayBuffer(16), new Uint8Array(new SharedArrayBuffer(32))],
  ...[new DataView(new ArrayBuffer(8)), new Proxy({}, {}), new Date(0), Object.create(null), a, b, file],
]

function argument(): unknown {
  const kind = random(10)
  if (kind === 0 && handles.length > 0) return pick(handles)
  if (kind === 1 && buffers.length > 0) return pick(buffers)
  return pick(odd)
}

let thrown = 0
for (let call = 0; call < count; call++) {
  const name = pick(names) as keyof Addon
  const args = Array.from({ length: random(6) }, argument)
  // Requests that cannot do harm, were they to be taken.
  if (name === 'ioctl') args[1] = pick(['x', -1, 0x541b, 0x5401, 0.5])
  // A socket file would stay.
  if (name === 'listenUnix') args[0] = pick(['', 'x'.repeat(108), 'x'.repeat(300), 'a\0b', 5])
  // It would close what it took over, be it this program's output.
  if (name === 'streamOpen') args[0] = pick([-1, 0.5, 'x', file, 1e6, socketPair()[0]])
  if (name === 'streamSendViews' && random(2) === 0) args[1] = pick([[message, detached], [message, 5], {}, 'x'])
  // Memory in abundance would be given.
  if ((name === 'mapMemory' || name === 'mapFile') && typeof args[0] === 'number' && args[0] > 1e9) args[0] = 65536
  try {
    keep(native[name](...args))
  } catch {
    thrown++
  }
  if (call % 500 === 0) {
    buffers.length = 0
    gc()
    await new Promise(setImmediate)
  }
}
console.log(JSON.stringify({ calls: count, thrown }))
process.exit()

function keep(result: unknown): void {
  if (result instanceof Promise) result.catch(() => {})
  if (typeof result === 'number' && result > 1e6) handles.push(result)
  if (typeof result !== 'object' || result === null) return
  if ('rings' in result) {
    const { handle, rings, submissions } = result as NativeRing
    handles.push(handle, rings.handle, submissions.handle)
    buffers.push(rings.buffer, submissions.buffer)
  } else if ('buffer' in result && 'handle' in result) {
    const { handle, buffer } = result as NativeMapping
    handles.push(handle)
    buffers.push(buffer)
  }
}
