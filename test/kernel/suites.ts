/** Tests that run inside one machine, in one process. */
export interface KernelSuite {
  readonly name: string
  readonly about: string
  /** Modules loaded before, in order. */
  readonly modules: readonly string[]
  /** Test files, in order, from this folder. */
  readonly files: readonly string[]
  /** Seconds that it may take; emulation on a busy machine is slow. */
  readonly limit: number
}

/** Every suite. */
export const suites: readonly KernelSuite[] = [
  {
    name: 'lio',
    about: 'target-iscsi against the iSCSI target of the kernel',
    modules: ['target_core_mod', 'target_core_file', 'target_core_iblock', 'iscsi_target_mod', 'loop', 'dm_mod'],
    files: [
      'lio/discovery.test.ts',
      'lio/login.test.ts',
      'lio/digests.test.ts',
      'lio/data.test.ts',
      'lio/ranges.test.ts',
      'lio/news.test.ts',
      'lio/access.test.ts',
      'lio/reservations.test.ts',
      'lio/agent.test.ts',
      'lio/fence.test.ts',
      'lio/teardown.test.ts',
    ],
    limit: 900,
  },
]
