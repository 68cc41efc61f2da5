import { IoOp } from '@blockbraid/core'
import { randomInt } from '../time/random.ts'
import type { IoEvent, Shape } from './plan.ts'

/** Draws what the clients ask for in `length` milliseconds, many of it about the `moments` at which something happens. */
export function drawIos(random: () => number, shape: Shape, length: number, moments: readonly number[]): IoEvent[] {
  const clients = shape.clients * shape.volumes * shape.hosts
  // A second try is earned by many reads.
  const reads = shape.multipath.hedgeReads === true && random() < 0.7
  const count = reads ? 60 + randomInt(random, 100) : 10 + randomInt(random, 50)
  const changes = reads ? 0.2 : 0.3 + 0.6 * random()
  const flushes = 0.2 * random()
  const others = 0.3 * random()
  const fua = 0.5 * random()
  // Few blocks meet more often.
  const hot = random() < 0.5 ? shape.blocks : Math.max(1, shape.blocks >> 2)
  const hurry = random() < 0.15 ? 0.3 : 0
  const large = shape.maxTransfer < 1024 ? 0.6 : 0.4 * random()
  const about = moments.length === 0 ? 0 : random()
  const time = (): number =>
    random() < about ? Math.max(0, moments[randomInt(random, moments.length)]! + 8 * random() - 2) : random() * length
  return Array.from({ length: count }, () => {
    const first = randomInt(random, hot)
    const most = shape.blocks - first
    const blocks = 1 + randomInt(random, random() < large ? most : Math.min(2, most))
    const draw = random()
    const isChange = draw < changes
    let op: IoOp = isChange ? IoOp.Write : IoOp.Read
    if (isChange && random() < others) op = random() < 0.4 ? IoOp.Trim : IoOp.WriteZeroes
    if (!isChange && random() < flushes) op = IoOp.Flush
    return {
      do: 'io',
      at: tenths(time()),
      client: randomInt(random, clients),
      op,
      first: op === IoOp.Flush ? 0 : first,
      count: op === IoOp.Flush ? 0 : blocks,
      fua: random() < fua && op !== IoOp.Flush,
      ...(random() < hurry && { failFast: true }),
    }
  })
}

/** A time that is short to print. */
export function tenths(milliseconds: number): number {
  return Math.round(milliseconds * 10) / 10
}
