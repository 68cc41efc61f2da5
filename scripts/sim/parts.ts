import { failover } from '@blockbraid/policy-failover'
import { latency } from '@blockbraid/policy-latency'
import { queueDepth } from '@blockbraid/policy-queue-depth'
import { roundRobin } from '@blockbraid/policy-round-robin'
import { serviceTime } from '@blockbraid/policy-service-time'
import { stream } from '@blockbraid/policy-stream'
import { weighted } from '@blockbraid/policy-weighted'
import type { MemoryArray } from '@blockbraid/target-memory'
import { createMemoryArray, memory } from '@blockbraid/target-memory'
import type { SwarmParts } from '@blockbraid/testkit/simulation'

/** The simulated array of target-memory, and every policy. */
export const parts: SwarmParts = {
  createArray: createMemoryArray,
  createTarget: (array, initiator, host) => memory({ array: array as MemoryArray, initiator }, host),
  policies: [
    { name: 'round-robin', create: () => roundRobin() },
    { name: 'queue-depth', create: () => queueDepth() },
    { name: 'service-time', create: () => serviceTime() },
    { name: 'latency', create: () => latency() },
    { name: 'weighted', create: () => weighted() },
    { name: 'failover', create: () => failover() },
    { name: 'stream', create: () => stream() },
  ],
}
