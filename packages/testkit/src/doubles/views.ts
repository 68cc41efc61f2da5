import type { Access, IoView, PathView } from '@blockbraid/core'
import { IoOp } from '@blockbraid/core'

/** A path view whose numbers a test keeps, as core keeps those of a real one. */
export interface TestView extends PathView {
  /** Name of the path. */
  readonly id: string
  /** As in PathView, to be set by a test; so is all that follows. */
  target: string
  address: string
  access: Access
  weight: number
  queueDepth: number
  inflight: number
  inflightBytes: number
  latency: number
  throughput: number
  errors: number
  upSince: number
}

/** Makes idle, equal path views. */
export function createViews(count: number, name = 'path'): TestView[] {
  return Array.from({ length: count }, (_, index) => ({
    id: `${name}${index}`,
    target: 'array',
    address: `port ${index}`,
    access: 'optimized',
    weight: 1,
    queueDepth: 128,
    inflight: 0,
    inflightBytes: 0,
    latency: 0,
    throughput: 0,
    errors: 0,
    upSince: 0,
  }))
}

/** An I/O as policies see it, whose numbers a test sets. */
export interface TestIoView extends IoView {
  /** As in IoView, to be set by a test; so is all that follows. */
  op: IoOp
  /** As in IoView. */
  flags: number
  offset: number
  length: number
  now: number
}

/** Makes the view of a read of 4 KiB at 0, or of what `fields` say. */
export function createIoView(fields: Partial<IoView> = {}): TestIoView {
  return { op: IoOp.Read, flags: 0, offset: 0, length: 4096, now: 0, ...fields }
}
