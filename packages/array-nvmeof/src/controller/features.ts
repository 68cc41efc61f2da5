/** Values of features that nothing but their host looks at, and those that are read where they matter. */
export class Features {
  /** I/O queues that the host may have. */
  queues: number
  /** Whether the host obeys CRD (ACRE). */
  retryDelays = false
  /** Host Behavior Support, as it was set. */
  behaviour = Buffer.alloc(512)
  /** By FID: dword 11. */
  readonly values = new Map<number, number>()
  readonly #queues: number

  constructor(queues: number) {
    this.#queues = queues
    this.queues = queues
  }

  reset(): void {
    this.queues = this.#queues
    this.retryDelays = false
    this.behaviour = Buffer.alloc(512)
    this.values.clear()
  }
}
