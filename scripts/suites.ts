import { preparePrograms } from '../test/debian/programs.ts'
import { reachRegistry } from '../test/install/support/registry.ts'

/** One suite of `npm test`. */
export interface Suite {
  readonly name: string
  readonly about: string
  /** Commands that must be on the PATH for it to run. */
  readonly needs?: readonly string[]
  /** Makes ready what it needs beside commands; rejects with the reason why it cannot run. */
  readonly prepare?: () => Promise<unknown>
  readonly commands: readonly (readonly string[])[]
}

/** Every suite, cheap ones first. */
export const suites: readonly Suite[] = [
  { name: 'lint', about: 'style and common faults (Biome)', commands: [['biome', 'check', '.']] },
  { name: 'types', about: 'strict TypeScript over sources, tests, examples', commands: [['tsc', '-p', '.']] },
  {
    name: 'walls',
    about: 'who may import whom, and no files in a circle (dependency-cruiser)',
    commands: [
      ['node', 'scripts/walls.ts'],
      ['vitest', 'run', '--project', 'walls'],
    ],
  },
  {
    name: 'unit',
    about: 'unit, wire and compliance tests of every package',
    needs: ['openssl'],
    commands: [['vitest', 'run', '--project', 'unit']],
  },
  {
    name: 'packaging',
    about: 'packed tarballs: publint, attw, install and import',
    commands: [['node', 'scripts/check-packages.ts']],
  },
  {
    name: 'docs',
    about: 'typedoc without warnings; snippets and examples run',
    commands: [['typedoc'], ['vitest', 'run', '--project', 'docs']],
  },
  {
    name: 'install',
    about: 'a fresh clone: npm ci, npm start, npx blockbraid, the examples',
    needs: ['git', 'npm', 'npx'],
    prepare: reachRegistry,
    commands: [['vitest', 'run', '--project', 'install']],
  },
  {
    name: 'peers',
    about: 'NBD clients and iSCSI targets that others wrote',
    needs: [
      'fio',
      'qemu-img',
      'qemu-io',
      'nbdinfo',
      'nbdcopy',
      'nbdkit',
      'mkfs.ext4',
      'e2fsck',
      'debugfs',
      'openssl',
      'cmp',
      'tgtd',
      'tgtadm',
      'setpriv',
    ],
    commands: [['vitest', 'run', '--project', 'peers']],
  },
  ...(['trixie', 'newest'] as const).map((set) => ({
    name: `peers-${set}`,
    about: `NBD clients again: qemu, libnbd and nbdkit of ${set === 'newest' ? 'the newest suite of Debian' : 'Debian trixie'}`,
    needs: ['apt-get', 'apt-cache', 'dpkg-deb', 'fio', 'mkfs.ext4', 'e2fsck', 'debugfs', 'openssl', 'cmp'],
    prepare: () => preparePrograms(set),
    commands: [['vitest', 'run', '--project', `peers-${set}`]],
  })),
  {
    name: 'kernel',
    about:
      'inside a Linux kernel of its own, under QEMU: its block devices, its iSCSI and NVMe targets, its initiators',
    needs: [
      ...['qemu-system-x86_64', 'setpriv', 'apt-get', 'dpkg-deb', 'depmod', 'xz', 'losetup', 'dmsetup', 'fio'],
      ...['mkfs.ext4', 'e2fsck', 'mkfs.xfs', 'xfs_repair', 'sqlite3', 'sfdisk', 'lvm', 'blkdiscard', 'fallocate'],
    ],
    // The short set; `npm run test:kernel` runs the whole.
    commands: [['node', 'test/kernel/run.ts', '--short']],
  },
]
