import type { Controller } from './controller/controller.ts'
import type { QueueLink } from './controller/host.ts'
import { integer, oneOf } from './options/checks.ts'
import type { NvmeController } from './options/types.ts'

/** What users of the array see of a controller. */
export function viewOf(controller: Controller): NvmeController {
  const { id, hostNqn, hostId, port, discovery, connected, ready, keepAlive, instance, links, events } = controller
  const queues = [...links.values()].filter((link) => link.id !== 0)
  const admin = links.get(0)
  const some = (queue: number | undefined): QueueLink[] => {
    if (queue !== undefined) oneOf('queue', queue, [...links.keys()])
    // The admin queue last: with it the others end in order.
    return [...links.values()].reverse().filter((link) => queue === undefined || link.id === queue)
  }
  return {
    id,
    hostNqn,
    hostId,
    port,
    discovery,
    connected,
    ready,
    keepAliveTimeout: keepAlive.timeout,
    instance,
    instanceRandom: controller.instanceRandom.toString(16).padStart(16, '0'),
    queues: queues.map((link) => link.id),
    headerDigest: admin?.headerDigest ?? false,
    dataDigest: admin?.dataDigest ?? false,
    inflight: queues.reduce((sum, { inflight }) => sum + inflight, 0),
    asyncEvents: events.requests,
    cut: (queue) => {
      for (const link of some(queue)) link.destroy()
    },
    reset: (queue) => {
      for (const link of some(queue)) link.reset()
    },
    blackhole: (on, queue) => {
      for (const link of some(queue)) link.setDark(on)
    },
    event: (event) => {
      integer('event.type', event.type, 0, 7)
      integer('event.info', event.info, 0, 0xff)
      integer('event.log', event.log, 0, 0xff)
      events.raise(event)
    },
    fail: () => controller.fail(),
    end: () => controller.remove('keepAlive'),
    renew: () => controller.renew(),
  }
}
