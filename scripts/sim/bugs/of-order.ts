import type { Bug } from './bug.ts'

const GUARDS = 'multipath/guards.ts'
const WAITING = 'multipath/waiting.ts'
const EMULATE = 'emulate.ts'

/** Faults of order, of what waits, and of what is done in pieces. */
export const bugsOfOrder: readonly Bug[] = [
  {
    name: 'guard-released-early',
    text: 'what ended with an error and without a proof leaves no guard',
    file: GUARDS,
    changes: [['if (attempt.unproven !== null) this.#overUnproven(attempt, now)\n    else if', 'if']],
  },
  {
    name: 'sources-unordered',
    text: 'changes of different connections are in no order',
    file: 'multipath/change-index.ts',
    changes: [
      ['if (other.holdsAll || other.source !== change.source) return other', 'if (other.holdsAll) return other'],
    ],
  },
  {
    name: 'reads-unguarded',
    text: 'reads do not wait for guards',
    file: GUARDS,
    changes: [['      if (!guard.reads || guard.from', '      if (guard.reads || guard.from']],
  },
  {
    name: 'pieces-unordered',
    text: 'a change in pieces is in order piece by piece only',
    file: GUARDS,
    changes: [['    this.#wholes.set(io, whole)\n    if (!this.careful) return\n', '    if (io !== null) return\n']],
  },
  {
    name: 'expires-early',
    text: 'what waits is given half of its time',
    file: WAITING,
    changes: [['this.#options.noPathTimeout * 1000', 'this.#options.noPathTimeout * 500']],
  },
  {
    name: 'never-expires',
    text: 'what waits for a fence waits for ever',
    file: WAITING,
    changes: [
      [
        '    this.#enter(held, attempt)\n',
        '    attempt.deadline = Number.POSITIVE_INFINITY\n    held.insert(attempt)\n',
      ],
    ],
  },
  {
    name: 'split-off-by-one',
    text: 'a piece that is not the first begins a block too late',
    file: EMULATE,
    changes: [
      [
        'const offset = parent.offset + this.#submitted\n',
        'const offset = parent.offset + this.#submitted + (this.#submitted > 0 && this.#submitted + 512 < parent.length ? 512 : 0)\n',
      ],
    ],
  },
  {
    name: 'split-short',
    text: 'the last piece of a write of zeroes is left out',
    file: EMULATE,
    changes: [
      [
        'if (this.#status === OK && this.#submitted < parent.length) return this.#next(child)',
        'if (this.#status === OK && !this.#zeroes && this.#submitted < parent.length) return this.#next(child)',
      ],
    ],
  },
  {
    name: 'split-hides-error',
    text: 'of what is done in pieces the last one says how it ends',
    file: EMULATE,
    changes: [['if (status !== OK && this.#status === OK) this.#status = status', 'this.#status = status']],
  },
  {
    name: 'fua-without-flush',
    text: 'FUA is emulated without the flush',
    file: EMULATE,
    changes: [['this.#emulatesFua && !this.#flushed &&', 'this.#emulatesFua && this.#flushed &&']],
  },
  {
    name: 'flush-not-needed',
    text: 'a flush of a volume that does FUA is done at once',
    file: 'user-device.ts',
    changes: [
      [
        '      if (limits.writeCache) this.#through.submit(io)',
        '      if (limits.writeCache && !limits.fua) this.#through.submit(io)',
      ],
    ],
  },
  {
    name: 'loss-swallowed',
    text: 'the news that a cache was lost is taken for old',
    file: 'multipath/durability.ts',
    changes: [['    return this.#losses.lost(this.#clock.now(), open)', '    return open && this.#losses.count < 0']],
  },
  {
    name: 'loss-told-once',
    text: 'one client hears of a lost cache, the others do not',
    file: 'multipath/losses.ts',
    changes: [
      [
        '    const wasThere = source === null || source.since <= this.#at\n',
        '    const wasThere = (source === null || source.since <= this.#at) && this.#at > 0\n    this.#at = -1\n',
      ],
    ],
  },
  {
    name: 'witness-not-asked',
    text: 'a path that says that the storage was reset serves before another one has borne that out or denied it',
    file: 'multipath/device-paths.ts',
    changes: [['    if (!this.unflushed) return\n', '    if (!this.unflushed || this.host !== undefined) return\n']],
  },
  {
    name: 'witness-unheard',
    text: 'the last path that could have denied that the storage was reset fails, and that is taken for a denial',
    file: 'multipath/cache-news.ts',
    changes: [
      ['    if (needed === undefined) return false\n', '    if (needed === undefined || needed > 0) return false\n'],
    ],
  },
  {
    name: 'fua-in-lost-cache',
    text: 'FUA that was emulated while the cache was lost is taken for durable',
    file: 'multipath/durability.ts',
    changes: [['    return doomed ? Errno.EIO : OK', '    return doomed && op < 0 ? Errno.EIO : OK']],
  },
]
