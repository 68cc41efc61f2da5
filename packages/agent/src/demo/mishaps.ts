import { setTimeout as sleep } from 'node:timers/promises'
import type { MemoryArray } from '@blockbraid/target-memory'
import type { RunningAgent } from '../agent/running-agent.ts'

/** The port that is cut and stays so. */
export const CUT_PORT = 1
/** The port that stops answering, and comes back. */
export const HUNG_PORT = 2

/** What the mishaps happen to. */
export interface Scene {
  readonly array: MemoryArray
  readonly running: RunningAgent
  /** I/Os that the load makes in all. */
  readonly total: number
  readonly signal: AbortSignal
  /** Tells a thing that happened. */
  readonly tell: (text: string) => void
}

/**
 * Lets two ports fail and one come back, and exchanges the policy, as the load gets on. Returns how many
 * I/Os the restored paths had done when they came back.
 */
export async function makeMishaps({ array, running, total, signal, tell }: Scene): Promise<number> {
  await until(signal, () => iosOf(running) > total * 0.1)
  array.portDown(CUT_PORT)
  tell(`port ${CUT_PORT} is cut: its I/O moves to the other paths`)

  await until(signal, () => iosOf(running) > total * 0.2)
  array.hang(HUNG_PORT)
  tell(`port ${HUNG_PORT} stops answering: nothing says so, its I/O just hangs`)
  await until(signal, () => pathsAt(running, HUNG_PORT).every(({ state }) => state !== 'up'))
  const moved = sum(pathsAt(running, HUNG_PORT).map(({ retries }) => retries))
  tell(`port ${HUNG_PORT} is given up and fenced; ${moved} I/Os that hung go another way`)

  await until(signal, () => iosOf(running) > total * 0.35)
  for (const pair of running.agent.pairs) await running.setPolicy(pair.id, { use: 'queue-depth', options: {} })
  tell('the policy is exchanged: queue-depth in place of round-robin')

  await until(signal, () => iosOf(running) > total * 0.5)
  array.release(HUNG_PORT)
  tell(`port ${HUNG_PORT} answers again`)
  for (const pair of running.agent.pairs) {
    for (const { id, address } of pair.paths) if (isAt(address, HUNG_PORT)) pair.restorePath(id)
  }
  await until(signal, () => pathsAt(running, HUNG_PORT).every(({ state }) => state === 'up'))
  tell(`the paths over port ${HUNG_PORT} are restored and take I/O`)
  return sum(pathsAt(running, HUNG_PORT).map(({ ios }) => ios))
}

/** Whether a path leads over that port of the array. */
export function isAt(address: string, port: number): boolean {
  return address.endsWith(`port ${port}`)
}

/** Every path over a port. */
export function pathsAt(running: RunningAgent, port: number) {
  return running.agent.pairs.flatMap((pair) => pair.paths.filter(({ address }) => isAt(address, port)))
}

function iosOf(running: RunningAgent): number {
  return sum(running.agent.pairs.flatMap((pair) => pair.paths.map(({ ios }) => ios)))
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((one, other) => one + other, 0)
}

async function until(signal: AbortSignal, condition: () => boolean): Promise<void> {
  while (!condition()) await sleep(10, undefined, { signal })
}
