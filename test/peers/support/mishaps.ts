import { setTimeout as sleep } from 'node:timers/promises'
import type { MemoryArray } from '@blockbraid/target-memory'
import { randomInt } from '@blockbraid/testkit'

/** What happened to the ports of an array, in words. */
export type History = string[]

/**
 * Lets ports go down, hang, become slow and come back at moments drawn from `random`, until `work` has
 * settled; one port always serves. Then every port is well again. `also` is called at each step.
 */
export async function mishapsDuring<T>(
  work: Promise<T>,
  array: MemoryArray,
  random: () => number,
  also: (step: number) => void = () => {},
): Promise<{ result: T; history: History }> {
  const history: History = []
  let running = true
  const settled = work.finally(() => {
    running = false
  })
  // Whether it fails is for the end; until then nobody listens.
  settled.catch(() => {})
  for (let step = 0; running; step++) {
    history.push(mishap(array, random))
    also(step)
    await Promise.race([settled.catch(() => {}), sleep(20 + randomInt(random, 180))])
  }
  for (const { number } of array.ports) heal(array, number)
  return { result: await settled, history }
}

function mishap(array: MemoryArray, random: () => number): string {
  const { ports } = array
  const sick = ports.filter(({ up, hung, slow }) => !up || hung || slow > 0)
  const port = ports[randomInt(random, ports.length)]!
  const { number } = port
  if (sick.includes(port) || sick.length === ports.length - 1) {
    const healed = sick.includes(port) ? number : sick[randomInt(random, sick.length)]!.number
    heal(array, healed)
    return `port ${healed} back`
  }
  const kind = randomInt(random, 5)
  if (kind < 2) {
    array.portDown(number)
    return `port ${number} down`
  }
  if (kind < 4) {
    array.hang(number)
    return `port ${number} hangs`
  }
  array.slow(number, 20_000)
  return `port ${number} slow`
}

function heal(array: MemoryArray, port: number): void {
  array.portUp(port)
  array.release(port)
  array.slow(port, 0)
}
