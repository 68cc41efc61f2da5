import type { PathSelector } from '@blockbraid/core'
import { latency } from '@blockbraid/policy-latency'
import { stream } from '@blockbraid/policy-stream'

/** Checked before the policy is made: `blockbraid policy disk ./by-size.ts --option large=65536`. */
export const options = {
  type: 'object',
  additionalProperties: false,
  properties: { large: { title: 'bytes, 512 or more', type: 'integer', minimum: 512 } },
} as const

/** Large I/O stays on the path of its stream; small I/O goes where it is done first. */
export default function bySize({ large = 131_072 }: { large?: number } = {}): PathSelector {
  const forSmall = latency()
  const forLarge = stream()
  return {
    name: 'by-size',
    update(usable) {
      forSmall.update(usable)
      forLarge.update(usable)
    },
    select: (io) => (io.length < large ? forSmall : forLarge).select(io),
  }
}
