import { changesData, describeStatus, Errno, Io, IoFlag, IoOp, IoSource, NO_BUFFERS, OK } from '@blockbraid/core'
import { judge } from './judge-request.ts'
import type { IoEvent } from './plan.ts'
import { stamp, stamped } from './stamped-blocks.ts'
import type { Client, Request, Send, Session, World } from './world.ts'

// Fills buffers that are a client's again.
export const POISON = 0x5a5a5a5a

/** A client wants something. */
export function ask(world: World, event: IoEvent): void {
  const client = world.clients[event.client]!
  const { first, count, op } = event
  const from = client.base + first
  const isChange = op !== IoOp.Read && op !== IoOp.Flush
  const blocks = Array.from({ length: isChange ? count : 0 }, (_, index) => from + index)
  if (!world.has('rewrite') && blocks.some((block) => client.spoiled.has(block))) return
  world.pending++
  const request: Request = {
    event,
    client,
    first: from,
    data: dataOf(world, event, client),
    changes: [],
    open: 0,
    over: false,
  }
  if (client.busy >= world.shape.depth) client.queue.push(request)
  else begin(world, request)
}

function dataOf({ shape, stamps }: World, { op, first, count }: IoEvent, client: Client) {
  if (op !== IoOp.Write) return undefined
  const data = stamped(count * shape.blockSize)
  stamp(data, shape.blockSize, client.volume, client.base + first, stamps.length)
  stamps.push({ volume: client.volume, first: client.base + first, changes: [], logged: Number.POSITIVE_INFINITY })
  return data
}

function begin(world: World, request: Request): void {
  const { client, first, event } = request
  client.busy++
  if (changesData(event.op)) {
    let value = 0
    if (event.op === IoOp.Trim) value = -1
    if (request.data !== undefined) value = request.data.words[0]!
    const { registers } = world.volumes[client.volume]!
    world.moment++
    request.changes = Array.from({ length: event.count }, (_, index) =>
      registers[first + index]!.submit(value, client.number, world.moment),
    )
    if (request.data !== undefined) Object.assign(world.stamps[value]!, { changes: request.changes })
  }
  send(world, request)
}

/** Sends a request, over a new connection where need be. */
function send(world: World, request: Request): void {
  const { client, event, first } = request
  const session = client.session ?? connect(world, client)
  if (session === undefined) return void world.homeless.add(request)
  const { blockSize } = world.shape
  const length = event.count * blockSize
  const isRead = event.op === IoOp.Read
  const state = world.volumes[client.volume]!
  // Of a read it means that the device brings its own.
  const buffer = isRead && !event.fua ? stamped(length) : undefined
  const io = new Io()
  const made: Send = {
    io,
    request,
    session,
    buffer,
    from: ++world.moment,
    at: world.host.clock.now(),
    losses: state.losses,
    switched: world.switched,
    cached: state.cached,
    finished: false,
  }
  io.op = event.op
  io.flags = event.fua && !isRead && event.op !== IoOp.Flush ? IoFlag.Fua : 0
  if (event.failFast) io.flags |= IoFlag.FailFast
  io.offset = event.op === IoOp.Flush ? 0 : first * blockSize
  io.length = length
  io.buffers = isRead
    ? buffer === undefined
      ? NO_BUFFERS
      : [buffer.bytes]
    : request.data === undefined
      ? []
      : [request.data.bytes]
  io.source = session.source
  // Not assigned as it is written: V8 takes such a function for one that lives long, and what it knows with it.
  const done: Io['done'] = (_io, status) => finish(world, made, status)
  io.done = done
  session.sends.add(made)
  request.open++
  world.sent++
  // Sent anew: what was lost before has not had it.
  for (const change of request.changes) change.lostWith = Number.POSITIVE_INFINITY
  world.submitting = true
  session.device.submit(io)
  world.submitting = false
}

function connect(world: World, client: Client): Session | undefined {
  const process = world.processes[client.host]
  const device = process?.served[client.volume]?.device
  if (process === undefined || device === undefined) return undefined
  // 0 would be somebody who was always there.
  const source = new IoSource(Math.max(1, world.host.clock.now()))
  const session: Session = { client, process, device, source, sends: new Set(), lost: false }
  world.sessions.add(session)
  client.session = session
  return session
}

/** The client sees the end of a connection, and sends again what was in flight, or forgets it: that is returned. */
export function lose(world: World, session: Session, forgets = false): readonly Request[] {
  session.lost = true
  world.sessions.delete(session)
  if (session.client.session === session) session.client.session = undefined
  const again = [...session.sends].map(({ request }) => request)
  if (!session.process.ended) for (const each of session.sends) world.late.add(each)
  session.sends.clear()
  if (forgets) return again
  for (const request of again) world.homeless.add(request)
  if (again.length > 0) world.host.clock.after(0, () => house(world))
  return []
}

/** The client does not ask for it any more; `known`: its server knows, and holds what comes next until that has ended. */
export function forget(world: World, request: Request, known: boolean): void {
  const { client, first, changes } = request
  const { registers } = world.volumes[client.volume]!
  const now = ++world.moment
  for (const [index, change] of changes.entries()) {
    registers[first + index]!.failed(change, now)
    change.settled = known
  }
  end(world, request)
}

function end(world: World, request: Request): void {
  const { client } = request
  request.over = true
  world.pending--
  client.busy--
  const next = client.queue.shift()
  if (next !== undefined) begin(world, next)
}

/** Sends what has found nobody before. */
export function house(world: World): void {
  for (const request of [...world.homeless]) {
    world.homeless.delete(request)
    send(world, request)
  }
}

function finish(world: World, made: Send, status: number): void {
  const { session, request, io, buffer } = made
  const { client } = request
  const what = `client ${client.number}: a request, sent at ${made.at} µs,`
  if (world.submitting) world.fail(`${what} was done from inside submit`)
  if (made.finished) world.fail(`${what} was done twice`)
  if (session.process.ended) world.fail(`${what} was done after the process had ended`)
  made.finished = true
  request.open--
  if (session.lost) world.late.delete(made)
  if (session.lost) return handBack(world, request, buffer)
  session.sends.delete(made)
  // The pair is on its way out: the client sees its connection end.
  if (
    (status === Errno.ESHUTDOWN || status === Errno.ECANCELED) &&
    session.device !== session.process.served[client.volume]?.device
  ) {
    world.homeless.add(request)
    if (client.session === session) lose(world, session)
    return
  }
  request.over = true
  const fault = judge(world, made, io, status)
  if (fault !== undefined) world.fail(`client ${client.number}: ${fault}`)
  if (status !== OK && status === (Errno.ESHUTDOWN as number))
    world.fail(`${what} ended with ${describeStatus(status)}`)
  handBack(world, request, buffer)
  end(world, request)
}

// What is the client's again holds something else at once.
function handBack(world: World, request: Request, buffer: Send['buffer']): void {
  if (buffer !== undefined) {
    buffer.words.fill(POISON)
    world.poisoned.push(buffer)
  }
  if (request.data !== undefined && request.over && request.open === 0) request.data.words.fill(POISON)
}
