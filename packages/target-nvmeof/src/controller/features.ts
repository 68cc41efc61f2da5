import { Feature, getFeature, grantedQueues, setFeature, setHostBehavior, setQueues } from '../nvme/admin.ts'
import { ask, demand } from '../nvme/ask.ts'
import type { Controller } from '../nvme/controller-data.ts'
import { EventBit } from '../nvme/event.ts'
import type { Procedure } from '../nvme/procedure.ts'

/**
 * Reads the Keep Alive Timeout back, milliseconds: a controller may raise what Connect asked for and does not say so
 * there. 0 where it has none.
 */
export function* readKeepAliveTimeout({ keepAliveGranularity }: Controller): Procedure<number> {
  const request = getFeature(Feature.KeepAliveTimeout)
  if (keepAliveGranularity > 0) return (yield* demand('Get Features of the keep alive timeout', request)).result
  const { status, result } = yield* ask(request)
  return status === 0 ? result : 0
}

/** Sets the Keep Alive Timeout, milliseconds; returns what it is then, whether the controller has taken it or not. */
export function* setKeepAliveTimeout(controller: Controller, timeout: number): Procedure<number> {
  yield* ask(setFeature(Feature.KeepAliveTimeout, timeout))
  return yield* readKeepAliveTimeout(controller)
}

/** Asks for `wanted` I/O queues; returns how many there may be. */
export function* negotiateQueues(wanted: number): Procedure<number> {
  const { result } = yield* demand('Set Features of the number of queues', setQueues(wanted))
  return Math.min(wanted, grantedQueues(result))
}

/** Has statuses tell a retry delay (ACRE), where the controller has any. */
export function* enableRetryDelays({ retryDelays }: Controller): Procedure<void> {
  // A controller that refuses it never asks for a delay: nothing is lost.
  if (retryDelays.some((delay) => delay > 0)) yield* ask(setHostBehavior())
}

/** Says which asynchronous events are wanted, of those that the controller has; returns their bits, 0 where it refuses. */
export function* configureEvents({ events }: Controller, discovery: boolean): Procedure<number> {
  const optional = EventBit.Namespaces + EventBit.Ana + EventBit.CrossControllerReset + EventBit.Discovery
  const wanted = discovery ? events & EventBit.Discovery : (events & optional) | EventBit.Critical
  const bits = wanted >>> 0
  const { status } = yield* ask(setFeature(Feature.AsyncEvents, bits))
  // What it does not tell, is looked for again and again.
  return status === 0 ? bits : 0
}
