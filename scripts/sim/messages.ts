/** What a worker is to do. */
export interface Work {
  readonly from: number
  /** Between two of its seeds. */
  readonly step: number
  /** Seeds; Infinity is sent as null. */
  readonly count: number | null
  /** Name of a seeded bug. */
  readonly bug: string | undefined
  /** Whether a schedule that fails is made short. */
  readonly shrinks: boolean
}

/** What a worker tells. */
export type News = Progress | Found

/** So many schedules were well. */
export interface Progress {
  readonly kind: 'progress' | 'over'
  readonly schedules: number
  readonly ios: number
  /** CPU, milliseconds. */
  readonly cpu: number
}

/** A schedule has failed. */
export interface Found {
  readonly kind: 'found'
  readonly seed: number
  readonly schedules: number
  readonly fault: string
  /** A test that can be pasted. */
  readonly test: string
  /** Events before it was made short, and after. */
  readonly events: readonly [before: number, after: number]
}
