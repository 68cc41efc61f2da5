import { AssertionError } from 'node:assert'
import type { BlockDevice, IoStatus } from '@blockbraid/core'
import { describeStatus, Io, IoOp, NO_BUFFERS, OK, opName } from '@blockbraid/core'
import type { CaseFrame } from './runner.ts'

/** An Io to submit; what is left out is 0, or no buffers. */
export interface IoRequest {
  op: IoOp
  offset?: number
  length?: number
  flags?: number
  buffers?: Uint8Array[]
}

/** An Io that was submitted. */
export interface Submitted {
  readonly io: Io
  readonly status: Promise<IoStatus>
  /** How often `done` was called. */
  calls: number
  /** Whether it was called from inside `submit`. */
  inside: boolean
}

/** What one case of a suite works with. */
export interface Scope {
  /** What it waits for. */
  waiting: string
  readonly submitted: Submitted[]
  /** Whether the case has ended, so that what it left running must stop. */
  ended: boolean
  /** Run in reverse order when the case ends. */
  readonly cleanUps: (() => Promise<unknown>)[]
}

/** Some turns of the event loop: what is on its way in this process arrives. */
export async function turns(count = 4): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise<void>((resolve) => void setImmediate(resolve))
}

/** Begins, cleans up and verifies cases: rule 1 holds for every Io that any case submits. */
export const scopeFrame: CaseFrame<Scope> = {
  begin: () => ({ waiting: 'its first step', submitted: [], ended: false, cleanUps: [] }),
  waitingFor: (scope) => scope.waiting,
  async cleanUp(scope) {
    scope.ended = true
    for (const run of scope.cleanUps.toReversed()) await run()
    await turns()
  },
  verify(scope) {
    for (const { io, calls, inside } of scope.submitted) {
      if (inside) fail(`rule 1: done was called from inside submit (${describeIo(io)})`)
      if (calls !== 1) fail(`rule 1: done was called ${calls} times (${describeIo(io)})`)
    }
  },
}

/** Ends the case with a message. */
export function fail(message: string): never {
  throw new AssertionError({ message, stackStartFn: fail })
}

/** Ends the case unless `condition` holds. */
export function check(condition: boolean, message: string): asserts condition {
  if (!condition) fail(message)
}

/** Notes what is awaited, so that a case that gets stuck can say it. */
export function awaiting<T>(scope: Scope, what: string, work: Promise<T>): Promise<T> {
  scope.waiting = what
  return work
}

/** Closes `device` when the case ends. */
export function closing<D extends { close(): Promise<unknown> }>(scope: Scope, device: D): D {
  scope.cleanUps.push(() => device.close())
  return device
}

/** An Io in words. */
export function describeIo(io: Io): string {
  return `${opName(io.op)} of ${io.length} bytes at ${io.offset}`
}

/** Submits a new Io and watches over rule 1. */
export function submit(scope: Scope, device: BlockDevice, request: IoRequest): Submitted {
  const io = new Io()
  io.op = request.op
  io.offset = request.offset ?? 0
  io.buffers = request.buffers ?? NO_BUFFERS
  io.length = request.length ?? io.buffers.reduce((sum, view) => sum + view.length, 0)
  io.flags = request.flags ?? 0
  let resolve: (status: IoStatus) => void
  const status = new Promise<IoStatus>((settle) => {
    resolve = settle
  })
  const entry: Submitted = { io, status, calls: 0, inside: false }
  let submitting = true
  io.done = (_io, outcome) => {
    entry.calls++
    if (submitting) entry.inside = true
    resolve(outcome)
  }
  scope.submitted.push(entry)
  device.submit(io)
  submitting = false
  return entry
}

/** Submits an Io and waits for its status. */
export function ending(scope: Scope, device: BlockDevice, request: IoRequest): Promise<IoStatus> {
  const { io, status } = submit(scope, device, request)
  return awaiting(scope, `done of a ${describeIo(io)}`, status)
}

/** Submits an Io that must succeed. */
export async function succeed(scope: Scope, device: BlockDevice, request: IoRequest): Promise<Io> {
  const { io, status } = submit(scope, device, request)
  mustBeOk(io, await awaiting(scope, `done of a ${describeIo(io)}`, status))
  return io
}

/** Ends the case unless the Io succeeded. */
export function mustBeOk(io: Io, status: IoStatus): void {
  check(status === OK, `${describeIo(io)} ended with ${describeStatus(status)}`)
}

/** Writes `data`, cut into the views that are given. */
export function write(scope: Scope, device: BlockDevice, offset: number, data: Uint8Array, flags = 0): Promise<Io> {
  return succeed(scope, device, { op: IoOp.Write, offset, buffers: [data], flags })
}

/** Reads into one new buffer. */
export async function read(scope: Scope, device: BlockDevice, offset: number, length: number): Promise<Buffer> {
  const data = Buffer.alloc(length, 0xa5)
  await succeed(scope, device, { op: IoOp.Read, offset, buffers: [data] })
  return data
}

/** Flushes. */
export function flush(scope: Scope, device: BlockDevice): Promise<Io> {
  return succeed(scope, device, { op: IoOp.Flush })
}

/** Ends the case unless the bytes agree; names the first that differs. */
export function sameBytes(actual: Uint8Array, wanted: Uint8Array, what: string): void {
  check(actual.length === wanted.length, `${what}: ${actual.length} bytes instead of ${wanted.length}`)
  if (Buffer.compare(actual, wanted) === 0) return
  const at = actual.findIndex((byte, index) => byte !== wanted[index])
  fail(
    `${what}: byte ${at} of ${wanted.length} is 0x${actual[at]?.toString(16)} instead of 0x${wanted[at]?.toString(16)}`,
  )
}

/** Cuts `data` into `count` views of uneven lengths that add up to it. */
export function unevenViews(data: Uint8Array, count: number): Uint8Array[] {
  const views: Uint8Array[] = []
  let at = 0
  for (let left = count; left > 1; left--) {
    const share = Math.floor((data.length - at) / left)
    const length = Math.max(1, Math.min(data.length - at - (left - 1), share + ((left * 37) % 23) - 11))
    views.push(data.subarray(at, at + length))
    at += length
  }
  views.push(data.subarray(at))
  return views
}

/** What a call rejects with; undefined where it succeeds. */
export async function errorOf(scope: Scope, what: string, call: () => Promise<unknown>): Promise<unknown> {
  try {
    await awaiting(scope, what, call())
  } catch (thrown) {
    return thrown
  }
  return undefined
}

/** Waits until the error of a control call comes, which must be a BlockError with one of these codes. */
export async function rejectedWith(
  scope: Scope,
  what: string,
  call: () => Promise<unknown>,
  codes: readonly string[],
): Promise<void> {
  const error = await errorOf(scope, what, call)
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  const wanted = codes.join(' or ')
  check(error !== undefined, `${what} succeeded, instead of a BlockError ${wanted}`)
  check(
    codes.includes(String(code)),
    `${what} ended with ${String(error)} (code ${String(code)}), instead of a BlockError ${wanted}`,
  )
}
