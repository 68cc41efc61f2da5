import type { IoOp } from '@blockbraid/core'
import type { Fields } from './fields.ts'
import type { TraceCandidate, TraceDone, TracedIo, TraceRecord, TraceStart, TraceWait } from './records.ts'

/** What records refer to by number. */
export class TraceTables {
  columns: readonly string[] = []
  readonly paths: Map<number, string> = new Map()
  readonly policies: Map<number, string> = new Map()

  /** Id of a path; of one whose name was lost, its number. */
  path(number: number): string {
    return this.paths.get(number) ?? `#${number}`
  }
}

const NO_PATH = 0xffff
const waits: readonly TraceWait['why'][] = ['room', 'path', 'fence', 'order']

/** The header. */
export function decodeStart(fields: Fields, tables: TraceTables): TraceStart {
  const clock = fields.f64()
  const wall = fields.f64()
  const volume = fields.text()
  const columns = Array.from({ length: fields.u16() }, () => fields.text())
  tables.columns = columns
  return { kind: 'start', clock, wall: wall === 0 ? undefined : wall, volume, columns }
}

type Decode = (fields: Fields, tables: TraceTables) => TraceRecord | undefined

/** By kind of record, as docs/trace.md numbers them. */
export const decoders: Readonly<Record<number, Decode>> = {
  1(fields, tables) {
    const number = fields.u16()
    const weight = fields.f32()
    const path = fields.text()
    tables.paths.set(number, path)
    return { kind: 'path', path, target: fields.text(), address: fields.text(), weight }
  },
  2(fields, tables) {
    tables.policies.set(fields.u16(), fields.text())
    return undefined
  },
  3: (fields, tables) => ({
    kind: 'state',
    time: fields.f64(),
    path: tables.path(fields.u16()),
    state: fields.text(),
    access: fields.text(),
    reason: fields.text(),
  }),
  4(fields, tables) {
    const io = decodeIo(fields)
    const policy = fields.u16()
    const wanted = tables.path(fields.u16())
    const taken = tables.path(fields.u16())
    const count = fields.u16()
    const candidates = decodeCandidates(fields, tables)
    return {
      kind: 'pick',
      ...io,
      policy: tables.policies.get(policy) ?? `#${policy}`,
      wanted,
      taken,
      count,
      candidates,
    }
  },
  5(fields, tables) {
    const io = decodeIo(fields)
    return { kind: 'wait', ...io, why: waits[fields.u8()] ?? 'other', path: pathOrNone(fields, tables) }
  },
  6: (fields, tables) => ({ kind: 'failed', ...decodeEnd(fields, tables) }),
  7: (fields) => ({ kind: 'hedge', time: fields.f64(), io: fields.u32() }),
  8: (fields, tables) => ({ kind: 'done', ...decodeEnd(fields, tables) }),
  9(fields, tables) {
    const time = fields.f64()
    const path = pathOrNone(fields, tables)
    const count = fields.u32()
    return { kind: 'event', time, what: fields.text(), path, count, text: fields.text() }
  },
  10: (fields) => ({ kind: 'lost', time: fields.f64(), count: fields.f64(), inAll: fields.f64() }),
  11: (fields) => ({ kind: 'end', time: fields.f64(), why: fields.text() }),
}

function decodeIo(fields: Fields): TracedIo {
  return {
    time: fields.f64(),
    io: fields.u32(),
    op: fields.u8() as IoOp,
    flags: fields.u8(),
    offset: fields.f64(),
    length: fields.f64(),
  }
}

function decodeEnd(fields: Fields, tables: TraceTables): Omit<TraceDone, 'kind'> {
  return { time: fields.f64(), io: fields.u32(), path: pathOrNone(fields, tables), status: fields.u32() }
}

function pathOrNone(fields: Fields, tables: TraceTables): string | undefined {
  const number = fields.u16()
  return number === NO_PATH ? undefined : tables.path(number)
}

function decodeCandidates(fields: Fields, tables: TraceTables): readonly TraceCandidate[] {
  const candidates: TraceCandidate[] = []
  for (let left = fields.u16(); left > 0; left--) {
    const path = tables.path(fields.u16())
    const numbers = Object.fromEntries(tables.columns.map((column) => [column, fields.f32()]))
    candidates.push({ path, numbers })
  }
  return candidates
}
