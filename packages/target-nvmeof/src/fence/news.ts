import { channel } from 'node:diagnostics_channel'
import type { FenceProof } from '@blockbraid/core'
import type { Place } from '../place/place.ts'

/** What is published on the diagnostics channel `blockbraid.nvmeof.fence`. */
export interface FenceNews extends FenceProof {
  /** NQN of the subsystem. */
  readonly subsystem: string
  /** Where the controller was reached. */
  readonly portal: string
  /** CNTLID. */
  readonly controller: number
}

const fenceChannel = channel('blockbraid.nvmeof.fence')

/** Nothing that was sent to a controller can change data any more, or nothing of one path. */
export function publishFence({ subNqn, portal }: Place, controller: number, proof: FenceProof): void {
  if (!fenceChannel.hasSubscribers) return
  const news: FenceNews = { subsystem: subNqn, portal: portal.address, controller, ...proof }
  fenceChannel.publish(news)
}
