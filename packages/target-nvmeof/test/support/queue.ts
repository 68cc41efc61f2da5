import type { BlockError, Clock } from '@blockbraid/core'
import { systemHost } from '@blockbraid/core'
import { FakeWire } from '@blockbraid/wire'
import type { ConnectionRequest } from '../../src/pdu/encode.ts'
import type { Outcome } from '../../src/queue/command.ts'
import { type Command, Direction } from '../../src/queue/command.ts'
import { Queue } from '../../src/queue/queue.ts'
import { icResp } from './controller-pdus.ts'
import { type HostPdu, hostPdus } from './host-pdus.ts'

/** What a queue was lost with. */
export interface QueueState {
  broken: BlockError | undefined
  told: boolean | undefined
}

/** A queue whose controller is the test. */
export interface TestQueue {
  readonly wire: FakeWire
  readonly queue: Queue
  readonly state: QueueState
  /** What was sent since the last call. */
  sent(): HostPdu[]
  /** The controller sends this, in one piece. */
  receive(...bytes: readonly Uint8Array[]): void
}

/** How a {@link TestQueue} is made. */
export interface TestQueueOptions {
  depth?: number
  inCapsule?: number
  connection?: Partial<ConnectionRequest>
  /** What the controller answers to ICReq; null: nothing. */
  answer?: Buffer | null
  clock?: Clock
}

/** A queue over a wire whose other end is the test, agreed on unless `answer` says otherwise. */
export function testQueue(options: TestQueueOptions = {}): TestQueue {
  const { depth = 8, inCapsule = 4096, clock = systemHost.clock } = options
  const wire = new FakeWire(clock)
  const state: QueueState = { broken: undefined, told: undefined }
  const queue: Queue = new Queue(
    wire.outbox,
    {
      agreed() {},
      broken(error, told) {
        state.broken = error
        state.told = told
        queue.cut(error)
        queue.endAll()
      },
    },
    {
      id: 1,
      depth,
      inCapsule,
      connection: { headerDigest: false, dataDigest: false, align: 4, maxR2t: 1, ...options.connection },
    },
  )
  wire.sink = {
    bytes(chunk, start, end) {
      if (queue.push(chunk, start, end)) wire.retain()
    },
    finished() {},
    closed() {},
  }
  const sent = (): HostPdu[] => {
    wire.outbox.flush()
    return hostPdus(wire.take())
  }
  queue.start()
  if (options.answer !== null) {
    sent()
    wire.receive(options.answer ?? icResp({ digests: digestsOf(options.connection) }))
  }
  return { wire, queue, state, sent, receive: (...bytes) => wire.receive(...bytes) }
}

function digestsOf(connection: Partial<ConnectionRequest> = {}): number {
  return (connection.headerDigest === true ? 1 : 0) | (connection.dataDigest === true ? 2 : 0)
}

/** A command on its way, and how it ended: one entry for each call of `done`. */
export interface Running {
  readonly command: Command
  /** Its CID when it was sent. */
  readonly cid: number
  readonly ends: {
    readonly outcome: Outcome
    readonly status: number
    readonly result: number
    readonly received: number
    readonly data: Buffer
  }[]
}

/** Sends a command that moves `data`, or reads that many bytes into views of the queue's own. */
export function start(
  queue: Queue,
  direction: Direction,
  data: Buffer | number = 0,
  options: {
    owner?: object
    nsid?: number
    opcode?: number
    atMost?: boolean
    onEnd?: (command: Command) => void
  } = {},
): Running {
  const command = queue.take()
  if (command === undefined) throw new Error('no command is left')
  const { owner = queue, nsid, opcode, atMost = false, onEnd } = options
  command.owner = owner
  if (nsid !== undefined) command.lane = queue.lanes.of(nsid)
  command.sqe.fill(0)
  command.sqe[0] = opcode ?? (direction === Direction.Write ? 1 : 2)
  command.direction = direction
  command.lends = typeof data === 'number' && direction === Direction.Read
  command.length = typeof data === 'number' ? data : data.length
  if (typeof data !== 'number') command.buffers = [data]
  command.changes = direction === Direction.Write
  command.atMost = atMost
  const ends: Running['ends'] = []
  command.done = ({ outcome, status, result, received, buffers }) => {
    ends.push({ outcome, status, result, received, data: Buffer.concat(buffers) })
    onEnd?.(command)
  }
  queue.send(command)
  return { command, cid: command.cid, ends }
}
