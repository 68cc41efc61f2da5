import type { PathStatus } from '@blockbraid/core'
import { describe, expect, it } from 'vitest'
import { restoredWords } from '../src/commands/path.ts'
import { restorePath } from '../src/control/restore.ts'
import type { Running } from '../src/running/running.ts'

/** An agent whose one path is as `before` says, and as `after` says once it was restored. */
function restored(before: Partial<PathStatus>, after: Partial<PathStatus>) {
  let path = { id: 'p', ...before }
  const pair = {
    id: 'vol-0',
    get paths() {
      return [path]
    },
    restorePath() {
      path = { id: 'p', ...after }
    },
  }
  const running = { agent: { pairs: [pair] } } as unknown as Running
  const { was, ended } = restorePath(running, { pair: 'vol-0', path: 'p' })
  return restoredWords(was, ended)
}

describe('`path restore`', () => {
  it.each([
    [{ state: 'up' }, { state: 'up' }, 'is up already'],
    [{ state: 'up', health: 'probation' }, { state: 'up' }, 'is up already; its probation is ended'],
    [{ state: 'up', health: 'demoted' }, { state: 'up' }, 'is up already; it is no longer demoted'],
    [{ state: 'up', standsBack: true }, { state: 'up' }, 'is up already; I/O goes back to it'],
    [{ state: 'up', standsBack: true }, { state: 'up', standsBack: true }, 'is up already'],
    [
      { state: 'up', health: 'probation', standsBack: true },
      { state: 'up' },
      'is up already; its probation is ended, and I/O goes back to it',
    ],
    [{ state: 'waiting', health: 'probation' }, { state: 'connecting' }, 'connects again'],
    [{ state: 'disabled' }, { state: 'connecting' }, 'connects again'],
  ] as const)('of a path that is %j, then %j: it %s', (before, after, words) => {
    expect(restored(before, after)).toBe(words)
  })
})
