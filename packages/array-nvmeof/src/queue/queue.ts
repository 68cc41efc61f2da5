import type { InputSlab } from '@blockbraid/wire'
import type { QueueAuth } from '../auth/queue-auth.ts'
import { admitAdmin, runAdmin } from '../controller/admin.ts'
import type { Controller } from '../controller/controller.ts'
import type { QueueLink } from '../controller/host.ts'
import type { AdminResult } from '../controller/result.ts'
import { admit, run } from '../io/commands.ts'
import { FABRICS, FabricsType } from '../nvme/opcodes.ts'
import type { Status } from '../nvme/status.ts'
import { DNR, Sc } from '../nvme/status.ts'
import type { Output } from '../pdu/output.ts'
import type { Request, RequestQueue } from '../request/request.ts'
import { giveRequest } from '../request/request.ts'
import { RequestTable } from '../request/table.ts'
import { authenticate, disconnect, isAuthentication } from './fabrics.ts'
import type { ConnectionHost, FollowedRule } from './host.ts'
import type { Sender } from './replies.ts'
import { sendCompletion, sendData } from './replies.ts'

/** The connection of a queue. */
export interface QueueConnection {
  readonly out: Output
  hold(): InputSlab
  destroy(): void
  reset(): void
  finish(): void
  setDark(dark: boolean): void
}

/** Entries of a queue whose Connect has not come. */
const ENTRIES = 4096
/** In-capsule data of admin queues, and of every fabrics command (TCP transport 1.1 §3.3.1). */
export const ADMIN_IN_CAPSULE = 8192

/** A submission and a completion queue: what is in it, and how commands end. */
export class Queue implements RequestQueue, QueueLink, Sender {
  readonly host: ConnectionHost
  id = 0
  /** Entries. */
  size = ENTRIES
  flowControl = true
  sqHead = 0
  /** Bytes of data in a capsule. */
  inCapsule = ADMIN_IN_CAPSULE
  success = false
  readonly dataSize: number
  /** Null before its Connect. */
  controller: Controller | null = null
  /** R2Ts that the host takes for a command. */
  maxR2ts = 1
  live = true
  requests = new RequestTable(16)
  /** Where the host has to prove itself. */
  auth: QueueAuth | undefined
  readonly #connection: QueueConnection
  #tag = 0
  #told = new Map<Request, (() => void)[]>()

  constructor(host: ConnectionHost, connection: QueueConnection) {
    this.host = host
    this.dataSize = host.settings.c2hDataSize
    this.#connection = connection
  }

  get out(): Output {
    return this.#connection.out
  }

  get headerDigest(): boolean {
    return this.out.headerDigest
  }

  get dataDigest(): boolean {
    return this.out.dataDigest
  }

  get inflight(): number {
    return this.requests.size
  }

  /** An entry was taken. */
  advance(): void {
    this.sqHead = this.sqHead + 1 === this.size ? 0 : this.sqHead + 1
  }

  nextTag(): number {
    this.#tag = (this.#tag + 1) & 0xffff
    return this.#tag
  }

  /** Keeps the bytes that are coming in until the slab is let go of. */
  hold(): InputSlab {
    return this.#connection.hold()
  }

  // Requests

  /** All data of a command is there: it runs, if nothing is against it. */
  begin(request: Request): void {
    request.begun = true
    const { hooks, settings } = this.host
    if (settings.log) this.#record(request)
    if (request.aborted) return this.end(request, Sc.abortRequested)
    if (hooks.command !== null) {
      const rule = hooks.command(this.host.port, request, false)
      if (rule !== undefined && this.follow(request, rule)) return
    }
    this.execute(request)
  }

  /** Runs a command now. */
  execute(request: Request): void {
    const controller = this.controller!
    if (request.refused === 0 && this.auth?.authenticated === false && !isAuthenticating(request)) {
      request.refused = Sc.authenticationRequired | DNR
    }
    if (request.refused === 0) request.refused = this.id === 0 ? admitAdmin(controller, request) : this.#admit(request)
    if (request.refused !== 0) return this.end(request, request.refused)
    if (request.opcode === FABRICS) return this.#runFabrics(request)
    if (this.id === 0) return this.#runAdmin(request)
    request.running = true
    controller.began()
    run(request)
  }

  /** Does what a rule says of a command; false where it goes on as without one. */
  follow(request: Request, rule: FollowedRule): boolean {
    const { hangs, holds, status, data, retryDelay = 0, doNotRetry = false } = rule.options
    if (data !== undefined) request.alter = data
    if (hangs === true) return true
    if (holds === true) {
      rule.hold(request)
      return true
    }
    if (status === undefined) return false
    const delay = this.controller?.features.retryDelays === true ? retryDelay << 11 : 0
    this.end(request, status | delay | (doNotRetry ? DNR : 0))
    return true
  }

  end(request: Request, status: Status, result = 0, resultHigh = 0): void {
    if (status !== 0) this.controller?.errors.record(this.id, request, status)
    if (this.live) sendCompletion(this, request.cid, status, result, resultHigh)
    this.release(request)
  }

  endWithData(request: Request, views: readonly Uint8Array[], length: number): void {
    if (this.live) sendData(this, request.cid, views, length)
    this.release(request)
  }

  /** Nobody needs a request any more. */
  release(request: Request): void {
    const { running, controller } = request
    this.requests.remove(request)
    const told = this.#told.size > 0 ? this.#told.get(request) : undefined
    giveRequest(request)
    if (told !== undefined) {
      this.#told.delete(request)
      for (const tell of told) tell()
    }
    if (running) controller!.finished()
  }

  // QueueLink

  find(cid: number): Request | null {
    return this.requests.get(cid)
  }

  all(): Request[] {
    return this.requests.all()
  }

  ended(request: Request): Promise<void> {
    return new Promise((resolve) => this.#told.set(request, [...(this.#told.get(request) ?? []), resolve]))
  }

  abort(request: Request): boolean {
    if (request.running) return false
    if (request.begun) {
      if (request.held === null) return false
      request.held.forget(request)
      this.end(request, Sc.abortRequested)
    } else request.aborted = true // What an R2T has asked for comes first.
    return true
  }

  destroy(): void {
    this.#connection.destroy()
  }

  reset(): void {
    this.#connection.reset()
  }

  finish(): void {
    this.#connection.finish()
  }

  setDark(dark: boolean): void {
    this.#connection.setDark(dark)
  }

  /** The connection is gone: what waits for data, or for nothing, ends; what is executed or held goes on. */
  lost(): void {
    this.live = false
    for (const request of this.requests.all()) {
      if (request.running || request.held !== null) continue
      if (this.id !== 0) this.host.records.dropped++
      this.release(request)
    }
    this.controller?.lost(this)
  }

  #record({ entry, inCapsule }: Request): void {
    const { hostNqn, id, port } = this.controller!
    this.host.records.record({
      hostNqn,
      controller: id,
      port,
      queue: this.id,
      sqe: entry,
      inCapsuleBytes: inCapsule,
    })
  }

  #admit(request: Request): Status {
    const controller = this.controller!
    if (request.opcode === FABRICS) return 0
    // Of a queue that is gone, what was held is executed as long as its controller has not ended.
    if (controller.failed || (this.live && !controller.ready)) return Sc.sequenceError | DNR
    if (request.attachment!.stale) controller.lookForChanges()
    return admit(request)
  }

  #runFabrics(request: Request): void {
    if (isAuthentication(request)) void authenticate(this, request).catch(() => this.finish())
    else if (request.entry[4] === FabricsType.disconnect) disconnect(this, request)
    else if (this.id !== 0) this.end(request, Sc.invalidOpcode | DNR)
    else this.#runAdmin(request)
  }

  #runAdmin(request: Request): void {
    const controller = this.controller!
    const data = request.take === 0 ? Buffer.alloc(0) : Buffer.concat(request.views)
    const { serial } = request
    const answer = (result: AdminResult): void => {
      if (request.serial === serial) this.#answer(request, result)
    }
    const result = runAdmin(controller, request, data, answer)
    if (result !== null) this.#answer(request, result)
    else if (request.serial === serial) request.waits = true
  }

  forgetWaiting(): void {
    for (const request of this.requests.all()) if (request.waits) this.release(request)
  }

  #answer(request: Request, result: AdminResult): void {
    if (result === null) return
    if (typeof result === 'number') return this.end(request, result)
    if (!Buffer.isBuffer(result)) return this.end(request, 0, result.result, result.resultHigh)
    const data = request.alter === null ? result : request.alter(result)
    this.endWithData(request, [data], Math.min(data.length, request.length))
  }
}

function isAuthenticating(request: Request): boolean {
  return request.opcode === FABRICS && isAuthentication(request)
}
