import { BlockError } from '@blockbraid/core'
import { Cns, identify } from '../nvme/admin.ts'
import { demand } from '../nvme/ask.ts'
import type { Controller } from '../nvme/controller-data.ts'
import { ControllerType, decodeController } from '../nvme/controller-data.ts'
import type { Procedure } from '../nvme/procedure.ts'
import type { Capabilities } from '../nvme/properties.ts'
import type { Place } from '../place/place.ts'
import type { Authenticate } from './connect.ts'
import { connectAdmin } from './connect.ts'
import { enable, readCapabilities, readVersion } from './enable.ts'
import type { ControllerFacts } from './facts.ts'
import { factsOf } from './facts.ts'
import {
  configureEvents,
  enableRetryDelays,
  negotiateQueues,
  readKeepAliveTimeout,
  setKeepAliveTimeout,
} from './features.ts'
import type { KeepAliveChoice } from './keep-alive-choice.ts'
import { chosenKeepAlive } from './keep-alive-choice.ts'

/** What a controller is brought up for. */
export interface BringUpOptions {
  readonly place: Place
  /** Entries of the admin queue, the same as the queue that the procedure runs on has. */
  readonly entries: number
  /** Keep Alive Timeout to ask for, milliseconds; 0: none. */
  readonly keepAliveTimeout: number
  /** Where given, `keepAliveTimeout` is the most, for a controller with namespaces. */
  readonly keepAliveChoice?: KeepAliveChoice | undefined
  /** I/O queues that are wanted; 0: a discovery controller is expected. */
  readonly queues: number
  /** Commands in flight that are wanted for each of them. */
  readonly queueDepth: number
  readonly authenticate?: Authenticate | undefined
}

/** A controller that is up, its I/O queues not connected yet. */
export interface BroughtUp {
  readonly facts: ControllerFacts
  readonly controller: Controller
  readonly capabilities: Capabilities
  /** Version of the standard that it tells, such as 20100h. */
  readonly version: number
  /** I/O queues to connect; 0: it is a discovery controller. */
  readonly queues: number
  /** Entries of each, one more than commands that may be in flight there. */
  readonly queueEntries: number
  /** Asynchronous event requests to keep at the controller, and the bits of events that are on. */
  readonly eventRequests: number
  readonly events: number
}

// One for every kind of event that has a log of its own is enough, and a queue has room for them.
const EVENT_REQUESTS = 8

/**
 * Brings a controller up, on an admin queue that nothing was sent on: Connect, authentication, capabilities, enable, identify,
 * features (NVMe Base 2.1 §3.5). Throws why it does not come up; a Connect that is refused for good has a `StatusError`
 * that is `final`.
 *
 * Events are configured before anything is read that they tell of, and a controller keeps an event until it is asked for
 * one: what changes meanwhile is told when the first request for one arrives.
 */
export function* bringUp(options: BringUpOptions): Procedure<BroughtUp> {
  const { place, entries, authenticate } = options
  const discovery = options.queues === 0
  const choice = discovery ? undefined : options.keepAliveChoice
  const keepAliveTimeout = choice?.least ?? options.keepAliveTimeout
  const { controller: id } = yield* connectAdmin(place, { entries, keepAliveTimeout }, authenticate)
  const version = yield* readVersion()
  const capabilities = yield* readCapabilities()
  yield* enable(capabilities)
  const bytes = (yield* demand('Identify Controller', identify(Cns.Controller))).data
  const controller = decodeController(bytes)
  checkController(controller, id, place, discovery)
  let kept = keepAliveTimeout === 0 ? 0 : yield* readKeepAliveTimeout(controller)
  // Made longer, never shorter: one that says so and does not do it misses its host before it is taken to.
  const better = choice === undefined ? 0 : chosenKeepAlive(controller, options.keepAliveTimeout, choice)
  if (kept > 0 && better > kept) kept = yield* setKeepAliveTimeout(controller, better)
  yield* enableRetryDelays(controller)
  const events = yield* configureEvents(controller, discovery)
  const queues = discovery ? 0 : yield* negotiateQueues(options.queues)
  return {
    facts: factsOf(controller, capabilities, kept, bytes),
    controller,
    capabilities,
    version,
    queues,
    queueEntries: entriesFor(options.queueDepth, controller, capabilities),
    eventRequests: Math.min(controller.eventLimit, EVENT_REQUESTS),
    events,
  }
}

const CAPSULE = 64
const RESPONSE = 16

function checkController(controller: Controller, id: number, { subNqn }: Place, discovery: boolean): void {
  if (controller.id !== id) {
    throw new BlockError('PROTOCOL', `Connect gave controller ${id}, which says that it is ${controller.id}`)
  }
  const isDiscovery = controller.type === ControllerType.Discovery
  if (isDiscovery !== discovery && controller.type !== ControllerType.Unknown) {
    const told = isDiscovery ? 'a discovery controller, which has no namespaces' : 'no discovery controller'
    throw new BlockError('NOT_SUPPORTED', `what answers for ${subNqn} is ${told}`)
  }
  if (discovery) return
  if (controller.subNqn !== subNqn) {
    throw new BlockError('PROTOCOL', `the controller is of subsystem ${controller.subNqn}, asked for was ${subNqn}`)
  }
  if (controller.commandCapsule < CAPSULE || controller.responseCapsule < RESPONSE) {
    throw new BlockError(
      'PROTOCOL',
      `the controller tells capsules of ${controller.commandCapsule} and ${controller.responseCapsule} bytes; they have at least ${CAPSULE} and ${RESPONSE}`,
    )
  }
}

function entriesFor(depth: number, { maxCommands }: Controller, { queueEntries }: Capabilities): number {
  const commands = Math.min(depth, maxCommands === 0 ? depth : maxCommands)
  // A queue of n entries has room for n - 1, and the smallest has 2.
  return Math.max(2, Math.min(commands + 1, queueEntries))
}
