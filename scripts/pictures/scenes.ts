import type { MemoryArray, PortOptions } from '@blockbraid/target-memory'

/** What happens to the array, by the millisecond. */
export interface Scene {
  readonly title: string
  readonly ports: readonly PortOptions[]
  readonly events: readonly { readonly at: number; act(array: MemoryArray): void }[]
}

/** A port that works on eight commands at once, each of 4 to 6 ms. */
const port = (controller: number, times = 1): PortOptions => ({
  controller,
  latency: { base: 4000 * times, jitter: 2000 * times },
  queueDepth: 8,
})
const four = [port(0), port(0), port(1), port(1)]

/** How long each scene lasts, milliseconds. */
export const DURATION = 2000

/** The four scenes in which each policy is shown. */
export const scenes: readonly Scene[] = [
  { title: 'equal paths', ports: four, events: [] },
  { title: 'path 0 at half speed', ports: [port(0, 2), ...four.slice(1)], events: [] },
  {
    title: 'path 0 flaps',
    ports: four,
    events: [
      { at: 500, act: (array) => array.portDown(0) },
      { at: 700, act: (array) => array.portUp(0) },
      { at: 1100, act: (array) => array.portDown(0) },
      { at: 1300, act: (array) => array.portUp(0) },
    ],
  },
  {
    title: 'two controllers, one optimized; they change places',
    ports: four,
    events: [
      { at: 0, act: (array) => optimize(array, 0) },
      { at: 1000, act: (array) => optimize(array, 1) },
    ],
  },
]

function optimize(array: MemoryArray, controller: number): void {
  array.setAccess('all', { controller }, 'optimized')
  array.setAccess('all', { controller: 1 - controller }, 'non-optimized')
}
