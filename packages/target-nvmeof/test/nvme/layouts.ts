import { put16le, put32le, put64le } from '@blockbraid/wire'

function text(out: Uint8Array, at: number, length: number, value: string, pad = 0x20): void {
  out.fill(pad, at, at + length)
  out.set(Buffer.from(value), at)
}

/** Identify Controller of an I/O controller that has everything. */
export function controllerBytes(change: (bytes: Uint8Array) => void = () => {}): Uint8Array {
  const bytes = new Uint8Array(4096)
  text(bytes, 4, 20, 'S1')
  text(bytes, 24, 40, 'blockbraid test')
  text(bytes, 64, 8, '1.0')
  bytes[76] = 0b1011
  bytes[77] = 5
  put16le(bytes, 78, 0x1234)
  put32le(bytes, 80, 0x20100)
  put32le(bytes, 92, 0x8010_0900)
  put32le(bytes, 96, 0x40)
  bytes[111] = 1
  put16le(bytes, 128, 1)
  put16le(bytes, 130, 2)
  put16le(bytes, 132, 3)
  bytes[135] = 7
  bytes.set([0xef, 0xcd, 0xab, 0x89, 0x67, 0x45, 0x23, 0x01], 136)
  bytes[259] = 3
  bytes[261] = 4
  bytes[262] = 63
  put16le(bytes, 320, 1)
  bytes[342] = 10
  put32le(bytes, 344, 16)
  put32le(bytes, 348, 16)
  put16le(bytes, 386, 1500)
  bytes[512] = 0x66
  bytes[513] = 0x44
  put16le(bytes, 514, 128)
  put32le(bytes, 516, 1024)
  put16le(bytes, 520, 0x0c)
  bytes[525] = 1
  put32le(bytes, 536, 1)
  text(bytes, 768, 256, 'nqn.2026-11.io.blockbraid:array', 0)
  put32le(bytes, 1792, 516)
  put32le(bytes, 1796, 1)
  bytes[1807] = 4
  change(bytes)
  return bytes
}

/** Identify Namespace. */
export function namespaceBytes({
  blocks = 1024,
  shift = 9,
  metadata = 0,
  nguid = new Uint8Array(16),
  anaGroup = 0,
} = {}): Uint8Array {
  const bytes = new Uint8Array(4096)
  put64le(bytes, 0, blocks)
  put64le(bytes, 8, blocks)
  put16le(bytes, 128, metadata)
  bytes[130] = shift
  put32le(bytes, 92, anaGroup)
  bytes.set(nguid, 104)
  return bytes
}

/** Identification descriptors. */
export function descriptorBytes(...descriptors: [type: number, bytes: Uint8Array][]): Uint8Array {
  const bytes = new Uint8Array(4096)
  let at = 0
  for (const [type, value] of descriptors) {
    bytes.set([type, value.length, 0, 0], at)
    bytes.set(value, at + 4)
    at += 4 + value.length
  }
  return bytes
}

/** A list of namespaces. */
export function namespaceList(...nsids: number[]): Uint8Array {
  const bytes = new Uint8Array(4096)
  for (const [index, nsid] of nsids.entries()) put32le(bytes, 4 * index, nsid)
  return bytes
}

/** An ANA log. */
export function anaLog(
  groups: readonly { id: number; state: number; namespaces?: readonly number[] }[],
  changes = 1,
): Uint8Array {
  const length = groups.reduce((sum, { namespaces = [] }) => sum + 32 + 4 * namespaces.length, 16)
  const bytes = new Uint8Array(length)
  put64le(bytes, 0, changes)
  put16le(bytes, 8, groups.length)
  let at = 16
  for (const { id, state, namespaces = [] } of groups) {
    put32le(bytes, at, id)
    put32le(bytes, at + 4, namespaces.length)
    put64le(bytes, at + 8, changes)
    bytes[at + 16] = state
    for (const [index, nsid] of namespaces.entries()) put32le(bytes, at + 32 + 4 * index, nsid)
    at += 32 + 4 * namespaces.length
  }
  return bytes
}

/** A log of cross-controller resets. */
export function resetLog(...entries: { id: number; instance: number; state: number }[]): Uint8Array {
  const bytes = new Uint8Array(8 + 8 * entries.length)
  put16le(bytes, 0, entries.length)
  entries.forEach(({ id, instance, state }, index) => {
    const at = 8 + 8 * index
    put16le(bytes, at, id)
    bytes[at + 2] = instance
    bytes[at + 6] = state
  })
  return bytes
}

/** A record of the discovery log. */
export function discoveryRecord({
  transport = 3,
  family = 1,
  type = 2,
  port = 1,
  address = '127.0.0.1',
  service = '4420',
  subNqn = 'nqn.2026-11.io.blockbraid:array',
} = {}): Uint8Array {
  const bytes = new Uint8Array(1024)
  bytes.set([transport, family, type, 0])
  put16le(bytes, 4, port)
  put16le(bytes, 6, 0xffff)
  put16le(bytes, 8, 32)
  text(bytes, 32, 32, service)
  text(bytes, 256, 256, subNqn, 0)
  text(bytes, 512, 256, address)
  return bytes
}

/** The head of the discovery log. */
export function discoveryHead(generation: number, records: number): Uint8Array {
  const bytes = new Uint8Array(1024)
  put64le(bytes, 0, generation)
  put64le(bytes, 8, records)
  return bytes
}
