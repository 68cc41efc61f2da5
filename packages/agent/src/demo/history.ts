import type { BlockDevicePair } from '@blockbraid/core'

/** What happened to paths, in words, by pair and path. */
export interface Histories {
  of(pair: string, path: string): string
}

/** Listens to pairs and keeps, for each path, when it was lost and when it was back; `elapsed` is in seconds. */
export function keepHistories(pairs: readonly BlockDevicePair[], elapsed: () => number): Histories {
  const histories = new Map<string, string[]>()
  for (const pair of pairs) {
    const down = new Set<string>()
    pair.events.on('path', ({ id, state }) => {
      const key = `${pair.id} ${id}`
      const history = histories.get(key) ?? []
      histories.set(key, history)
      const at = `${elapsed().toFixed(1)} s`
      if (state === 'up' && down.delete(id)) history.push(`back at ${at}`)
      else if (state !== 'up' && !down.has(id)) {
        down.add(id)
        history.push(`lost at ${at}`)
      }
    })
  }
  return { of: (pair, path) => histories.get(`${pair} ${path}`)?.join(', ') ?? 'no trouble' }
}
