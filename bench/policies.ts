import type { PathSelector } from '@blockbraid/core'
import { failover } from '@blockbraid/policy-failover'
import { latency } from '@blockbraid/policy-latency'
import { queueDepth } from '@blockbraid/policy-queue-depth'
import { roundRobin } from '@blockbraid/policy-round-robin'
import { serviceTime } from '@blockbraid/policy-service-time'
import { stream } from '@blockbraid/policy-stream'
import { weighted } from '@blockbraid/policy-weighted'

/** Every policy by its name, as it is without options. */
export const policies: Readonly<Record<string, () => PathSelector>> = {
  'round-robin': roundRobin,
  'queue-depth': queueDepth,
  'service-time': serviceTime,
  latency,
  weighted,
  failover,
  stream,
}
